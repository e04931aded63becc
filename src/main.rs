fn main() {
    let path = std::env::args().nth(1).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let c = obert::language::compile(&path, &text, &obert::language::NoFiles, Default::default());
    print!("{}", obert::diag::render::full::render_all(&c.diagnostics, &c.sources, false));
    if let Some(s) = c.schedule { println!("{}", serde_json::to_string_pretty(&s).unwrap()); }
}
