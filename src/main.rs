//! The `obertc` command.

fn main() {
    std::process::exit(obert::cli::main(std::env::args_os()));
}
