//! All modules of the crate, for its own command, tests and benchmarks. Nothing here is stable.

macro_rules! open {
    ($($(#[$attribute:meta])* $module:ident),* $(,)?) => {
        $(
            $(#[$attribute])*
            #[doc(hidden)]
            pub mod $module {
                pub use crate::$module::*;
            }
        )*
    };
}

open! {
    cli,
    diag,
    #[cfg(feature = "engine")] engine,
    explain,
    files,
    #[cfg(feature = "infer")] infer,
    language,
    lsp,
    #[cfg(feature = "engine")] method,
    output,
    params,
    plan,
    #[cfg(feature = "engine")] ranks,
    schedule,
    #[cfg(feature = "engine")] task,
    #[cfg(feature = "infer")] text,
    yaml,
}
