//! Writing files atomically.

use std::io::{self, Write};
use std::path::Path;

use crate::diag::{Code, Diagnostic};

/// The prefix of temporary files.
pub const ASIDE: &str = ".obert-";

/// Writes a temporary file, flushes it to the disk and renames it to `path`.
///
/// # Errors
/// A file that cannot be written; an existing one is unchanged.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Diagnostic> {
    write_with(path, |file| file.write_all(bytes))
}

/// The same with the content written by `produce`.
///
/// # Errors
/// A file that cannot be written; an existing one is unchanged.
pub fn write_with(
    path: &Path,
    produce: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Diagnostic> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let attempt = || -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(ASIDE).tempfile_in(folder)?;
        {
            let mut buffered = io::BufWriter::new(file.as_file_mut());
            produce(&mut buffered)?;
            buffered.flush()?;
        }
        file.as_file().sync_all()?;
        #[cfg(unix)]
        {
            // Temporary files are readable by their owner alone.
            use std::os::unix::fs::PermissionsExt;
            file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
        }
        file.persist(path)?;
        Ok(())
    };
    attempt().map_err(|e| {
        Diagnostic::unlocated(Code::WriteFailed, format!("cannot write `{}`: {e}", path.display()))
            .help("is there space, and may you write there?")
    })
}

/// Creates a folder for output, with all its parents.
///
/// # Errors
/// A path that is a file, or a folder that cannot be created or written to.
pub fn output_folder(path: &Path) -> Result<(), Diagnostic> {
    let wrong = |why: String| {
        Diagnostic::unlocated(Code::OutputNotUsable, format!("cannot write into `{}`: {why}", path.display()))
            .help("give another folder with `--out DIR`")
    };
    if path.exists() && !path.is_dir() {
        return Err(wrong("it is a file, not a folder".into()));
    }
    std::fs::create_dir_all(path).map_err(|e| wrong(e.to_string()))?;
    tempfile::tempfile_in(path).map_err(|e| wrong(e.to_string()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.json");
        write_whole(&path, b"old").unwrap();
        let failed = write_with(&path, |file| {
            file.write_all(b"half")?;
            Err(io::Error::other("disk full"))
        });
        assert!(failed.unwrap_err().message.contains("disk full"));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_is_no_output_folder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        write_whole(&path, b"").unwrap();
        assert_eq!(output_folder(&path).unwrap_err().code, Code::OutputNotUsable);
        output_folder(&dir.path().join("a/b")).unwrap();
    }
}
