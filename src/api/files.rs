//! Reading recipe files.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::diag::{Code, Diagnostic};
use crate::language::Loader;

/// The largest recipe in bytes.
const LARGEST: u64 = crate::language::LARGEST_RECIPE as u64;

/// Reads a recipe.
///
/// # Errors
/// A file that is missing, is a folder, is too large or is not UTF-8.
pub fn read_recipe(path: &Path) -> Result<String, Diagnostic> {
    let shown = path.display();
    let unreadable = |why: String| {
        Diagnostic::unlocated(Code::RecipeNotReadable, format!("cannot read `{shown}`: {why}"))
            .help("give the path of an .obert file")
    };
    let metadata = std::fs::metadata(path).map_err(|e| unreadable(e.to_string()))?;
    if metadata.is_dir() {
        return Err(unreadable("it is a folder".into()));
    }
    let too_large = |bytes: String| {
        let message = format!("`{shown}` has {bytes} bytes; a recipe has at most {LARGEST}");
        Diagnostic::unlocated(Code::RecipeTooLarge, message).help("is it the right file?")
    };
    if metadata.len() > LARGEST {
        return Err(too_large(metadata.len().to_string()));
    }
    // A device such as /dev/zero has no length and no end.
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| unreadable(e.to_string()))?;
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|e| unreadable(e.to_string()))?;
    if bytes.len() as u64 > LARGEST {
        return Err(too_large(format!("more than {LARGEST}")));
    }
    String::from_utf8(bytes).map_err(|e| {
        Diagnostic::unlocated(
            Code::RecipeNotText,
            format!("`{shown}` is not UTF-8 text: byte {} does not fit", e.utf8_error().valid_up_to()),
        )
        .help("save it as UTF-8")
    })
}

/// The recipes that a path names: a file itself, whatever its name, or all `.obert` files in a folder and its
/// subfolders, sorted. Hidden folders and symbolic links to folders are left out.
///
/// # Errors
/// A folder that cannot be read or holds no recipe.
pub fn recipes_in(path: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let unreadable = |e: std::io::Error| {
            let message = format!("cannot read the folder `{}`: {e}", folder.display());
            Diagnostic::unlocated(Code::RecipeNotReadable, message).help("give a folder that you may read")
        };
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let kind = entry.file_type().map_err(unreadable)?;
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if kind.is_dir() && !hidden {
                folders.push(entry.path());
            } else if entry.path().extension().is_some_and(|e| e == "obert") && !kind.is_dir() {
                found.push(entry.path());
            }
        }
    }
    if found.is_empty() {
        let message = format!("the folder `{}` holds no .obert file", path.display());
        return Err(Diagnostic::unlocated(Code::RecipeNotReadable, message).help("give a recipe"));
    }
    found.sort();
    Ok(found)
}

/// Loads the files of `use "…"`, relative to the file with the statement.
pub struct Disk;

impl Loader for Disk {
    fn load(&self, from: &Path, path: &str) -> Result<(PathBuf, String), String> {
        let full = from.parent().unwrap_or(Path::new("")).join(path);
        let text = read_recipe(&full).map_err(|d| d.message)?;
        // Two paths of one file are one module.
        let identity = full.canonicalize().unwrap_or(full);
        Ok((identity, text))
    }
}
