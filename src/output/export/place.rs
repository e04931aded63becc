//! Temporary output, renamed to its final path after verification.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::diag::{Code, Diagnostic};
use crate::files;
use crate::text::FILES;

/// Output in a temporary folder beside its final path.
#[derive(Debug)]
pub struct Aside {
    folder: TempDir,
    out: PathBuf,
}

impl Aside {
    /// Creates the temporary folder for an output at `out`.
    ///
    /// # Errors
    /// An output that exists already, or a folder that cannot be written.
    pub fn begin(out: &Path, force: bool) -> Result<Aside, Diagnostic> {
        let taken = std::fs::symlink_metadata(out).is_ok();
        let ours = out.is_file() || out.join(crate::output::sizes::FILE).is_file();
        if taken && !(force && ours) {
            let help = match (force, out.is_dir()) {
                (false, _) => "give another output with `--out`, or `--force` to replace an export",
                (true, true) => {
                    "`--force` replaces an export, and this folder holds none; remove it, or give another"
                }
                (true, false) => "`--force` replaces files and exports; give another output with `--out`",
            };
            return Err(refused(out, "it exists already".into()).help(help));
        }
        let parent = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent).map_err(|e| refused(out, e.to_string()))?;
        let folder = tempfile::Builder::new().prefix(files::ASIDE).tempdir_in(parent);
        let folder = folder.map_err(|e| refused(out, e.to_string()))?;
        Ok(Aside { folder, out: out.to_owned() })
    }

    /// The temporary folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The temporary file, for a format that is one file.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("file")
    }

    /// Copies the tokenizer and the other files that belong to a model.
    ///
    /// # Errors
    /// A file that cannot be copied.
    pub fn take_along(&self, model: &Path) -> Result<(), Diagnostic> {
        for name in FILES.iter().filter(|name| model.join(name).is_file()) {
            self.copy(&model.join(name), name)?;
        }
        Ok(())
    }

    /// Copies one file.
    ///
    /// # Errors
    /// A file that cannot be copied.
    pub fn copy(&self, from: &Path, name: &str) -> Result<(), Diagnostic> {
        files::write_whole(&self.folder().join(name), &read(from)?)
    }

    /// Renames the file to its final path.
    ///
    /// # Errors
    /// A file that cannot be renamed.
    pub fn place_file(self) -> Result<(), Diagnostic> {
        std::fs::rename(self.file(), &self.out).map_err(|e| refused(&self.out, e.to_string()))
    }

    /// Renames the folder to its final path.
    ///
    /// # Errors
    /// A folder that cannot be renamed.
    pub fn place_folder(self) -> Result<(), Diagnostic> {
        let failed = |e: std::io::Error| refused(&self.out, e.to_string());
        #[cfg(unix)]
        {
            // A temporary folder is readable by its owner only.
            use std::os::unix::fs::PermissionsExt;
            let open = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(self.folder(), open).map_err(failed)?;
        }
        if !self.out.is_dir() {
            return std::fs::rename(self.folder(), &self.out).map_err(failed);
        }
        // `begin` has checked that this is an export to be replaced. It is renamed first, and restored if the new
        // one cannot be renamed.
        let parent = self.folder().parent().unwrap_or(Path::new("."));
        let old = tempfile::Builder::new().prefix(files::ASIDE).tempdir_in(parent).map_err(failed)?;
        let kept = old.path().join("old");
        std::fs::rename(&self.out, &kept).map_err(failed)?;
        std::fs::rename(self.folder(), &self.out).map_err(|e| {
            let _ = std::fs::rename(&kept, &self.out);
            failed(e)
        })
    }
}

/// The folder of the tokenizer of an export that is one file without a tokenizer.
pub fn tokenizer_of(file: &Path) -> PathBuf {
    let name = file.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
    file.with_file_name(format!("{name}.tokenizer"))
}

/// Copies the tokenizer's files, and the config.json that names their class, into the folder [`tokenizer_of`], from
/// which files of another tokenizer are removed.
///
/// # Errors
/// A file that cannot be read or written.
pub fn place_tokenizer(model: &Path, file: &Path) -> Result<(), Diagnostic> {
    if !FILES.iter().any(|name| model.join(name).is_file()) {
        return Ok(());
    }
    let folder = tokenizer_of(file);
    files::output_folder(&folder)?;
    for name in FILES.iter().chain(&["config.json"]) {
        let (from, to) = (model.join(name), folder.join(name));
        if from.is_file() {
            files::write_whole(&to, &read(&from)?)?;
        } else if to.is_file() {
            std::fs::remove_file(&to).map_err(|e| refused(&to, e.to_string()))?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Diagnostic> {
    std::fs::read(path).map_err(|e| {
        Diagnostic::unlocated(Code::ModelNotReadable, format!("cannot read `{}`: {e}", path.display()))
            .help("may you read it?")
    })
}

fn refused(out: &Path, why: String) -> Diagnostic {
    Diagnostic::unlocated(Code::OutputNotUsable, format!("cannot write `{}`: {why}", out.display()))
        .help("give another output with `--out`")
}
