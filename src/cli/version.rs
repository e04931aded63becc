//! `obertc --version`, and with `--verbose` what the binary was built from and for.

#[cfg(feature = "engine")]
use crate::engine::machine::BURN;
#[cfg(feature = "infer")]
use crate::infer::simd::Isa;

/// The version; if `verbose` also the commit, the features, the target, the instruction set of the kernels and Burn's
/// version, a line for each.
pub fn text(verbose: bool) -> String {
    let version = format!("obertc {}\n", env!("CARGO_PKG_VERSION"));
    if !verbose {
        return version;
    }
    let features = [
        ("engine", cfg!(feature = "engine")),
        ("infer", cfg!(feature = "infer")),
        ("serve", cfg!(feature = "serve")),
        ("wgpu", cfg!(feature = "wgpu")),
        ("cuda", cfg!(feature = "cuda")),
        ("mpi", cfg!(feature = "mpi")),
    ];
    let features: Vec<&str> = features.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
    let environment = match () {
        () if cfg!(target_env = "musl") => "-musl",
        () if cfg!(target_env = "gnu") => "-gnu",
        () if cfg!(target_env = "msvc") => "-msvc",
        () => "",
    };
    let target = format!("{}-{}{environment}", std::env::consts::ARCH, std::env::consts::OS);
    let lines = [
        // Set where releases are built.
        ("commit", option_env!("OBERT_COMMIT").filter(|c| !c.is_empty()).unwrap_or("unknown").to_owned()),
        ("features", if features.is_empty() { "none".to_owned() } else { features.join(" ") }),
        ("target", target),
        ("assertions", if cfg!(debug_assertions) { "on" } else { "off" }.to_owned()),
        #[cfg(feature = "infer")]
        ("instruction set", Isa::best().name().to_owned()),
        #[cfg(feature = "engine")]
        ("burn", BURN.to_owned()),
    ];
    let lines: String = lines.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    version + &lines
}
