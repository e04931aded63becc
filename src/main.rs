//! The `obertc` command.

/// Training makes and frees large buffers at every step; the system's allocator gives them back to
/// the kernel each time, which costs a sixth of a step.
#[cfg(feature = "engine")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    #[cfg(feature = "engine")]
    obert::internals::engine::machine::keep_freed_memory();
    std::process::exit(obert::internals::cli::main(std::env::args_os()));
}
