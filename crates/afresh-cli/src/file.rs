//! Files that appear under their name only when they are complete.

use std::path::Path;

use tempfile::{Builder, NamedTempFile};

use crate::failure::Failure;

/// A file beside `file` under a name of its own, to be renamed when it is complete. It is removed when dropped.
pub(crate) fn beside(file: &Path) -> Result<NamedTempFile, Failure> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = Builder::new();
    builder.prefix(".afresh-");
    // As any other new file: what the umask leaves. Without this nobody but the owner could read it.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    // Asked first, since its own error is clearer than one about a temporary name.
    folder.metadata().map_err(Failure::file("write", file))?;
    builder.tempfile_in(folder).map_err(Failure::file("write", file))
}
