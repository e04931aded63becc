//! `obertc check`.

use clap::Args;

use super::{ERRORS, FINE, Format, RecipeArgs, compile_recipe, complain, fail, say};

#[derive(Args, Debug)]
pub struct CheckArgs {
    #[command(flatten)]
    recipe: RecipeArgs,
    /// How findings are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(args: &CheckArgs) -> i32 {
    let compiled = match compile_recipe(&args.recipe) {
        Ok(compiled) => compiled,
        Err((diagnostics, sources)) => return fail(&diagnostics, &sources),
    };
    match args.format {
        Format::Json => say(&crate::diag::render::json::render_all(&compiled.diagnostics, &compiled.sources)),
        Format::Full => {
            complain(&compiled.diagnostics, &compiled.sources);
            if let Some(schedule) = &compiled.schedule {
                let stages = schedule.stages.len();
                let plural = if stages == 1 { "" } else { "s" };
                say(&format!("{}: fine ({stages} stage{plural})\n", args.recipe.recipe.display()));
                if compiled.parameters.is_none() {
                    say("selectors were not checked: the model is not at hand (give it with --model DIR)\n");
                }
            }
        }
    }
    if compiled.has_errors() { ERRORS } else { FINE }
}
