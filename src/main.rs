//! The `obertc` command.

/// Training allocates and frees large buffers at every step. The system's allocator returns them to the kernel each
/// time, which takes a sixth of a step.
#[cfg(feature = "engine")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    #[cfg(feature = "engine")]
    obert::internals::engine::machine::keep_freed_memory();
    std::process::exit(obert::internals::cli::main(std::env::args_os()));
}
