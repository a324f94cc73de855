//! Export and import: the whole store as one zstd-compressed tar, written and read as a stream.
//!
//! Members in this order: `afresh-archive-1` (a line of JSON), `objects/<hex>`, `commits/<hex>`, `heads/<hex>`,
//! `accepts/<hex>`; the contents are the stored bytes, and for a head the id of its commit. Objects come before the entries that refer to them, so an import that
//! is cut off leaves nothing that leads nowhere. Everything is verified on the way in.

use std::collections::HashSet;
use std::io::{self, Read, Write};

use afresh_core::{
    Applied, Batch, Commit, CommitId, Error, Fingerprint, Head, Key, Kind, NewEntry, ObjectId, Op,
    Result, Scan, Space, Status, Value, Version, When,
};

use crate::accept;
use crate::access::FAILED;
use crate::begin::SWEEP;
use crate::engine::Engine;
use crate::spool;
use crate::ticket::{expect, head, labels};

const MANIFEST: &str = "afresh-archive-1";

/// What was exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportReport {
    /// Objects.
    pub objects: u64,
    /// Commits.
    pub commits: u64,
    /// Current answers.
    pub heads: u64,
}

/// What was imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Commits that are new here.
    pub imported: u64,
    /// Commits that were here already, or whose result is missing or damaged in the archive.
    pub skipped: u64,
    /// Objects read.
    pub objects: u64,
    /// Answers that are now current.
    pub heads: u64,
}

impl Engine {
    /// Writes everything to `to`. Damaged results are left out, with a warning.
    ///
    /// # Errors
    /// Whatever the store or the writer says.
    pub async fn export(&self, to: impl Write) -> Result<ExportReport> {
        let mut report = ExportReport::default();
        let packed = zstd::Encoder::new(to, 3).map_err(|error| writing(&error))?;
        let mut tar = tar::Builder::new(packed);
        let manifest = serde_json::json!({
            "format": 1,
            "created_ms": self.now().as_millis(),
            "store": self.store().info().scheme,
        });
        member(&mut tar, MANIFEST, format!("{manifest}\n").as_bytes())?;
        for info in self.objects().await? {
            if let Some(bytes) = self.bytes(&info.id, None).await? {
                member(&mut tar, &format!("objects/{}", info.id), &bytes)?;
                report.objects += 1;
            }
        }
        for (space, folder, count) in [
            (Space::Commit, "commits", &mut report.commits),
            (Space::Head, "heads", &mut report.heads),
        ] {
            let mut failure = None;
            self.each(Scan::new(space), |key, entry| {
                let Some((id, record)) = ObjectId::from_slice(key.bytes()).zip(entry.record())
                else {
                    return;
                };
                if failure.is_none() {
                    // All else that a head says is in its commit.
                    let head = (space == Space::Head).then(|| Head::decode(record).ok()).flatten();
                    let bytes = head.as_ref().map_or(&record[..], |head| head.commit.as_bytes());
                    match member(&mut tar, &format!("{folder}/{id}"), bytes) {
                        Ok(()) => *count += 1,
                        Err(error) => failure = Some(error),
                    }
                }
            })
            .await?;
            if let Some(error) = failure {
                return Err(error);
            }
        }
        let mut accepts = Vec::new();
        self.each(accept::scan(), |key, entry| {
            accepts.extend(accept::id(&key).zip(entry.record().cloned()));
        })
        .await?;
        for (id, record) in accepts {
            member(&mut tar, &format!("accepts/{id}"), &record)?;
        }
        let packed = tar.into_inner().map_err(|error| writing(&error))?;
        packed.finish().and_then(|mut to| to.flush()).map_err(|error| writing(&error))?;
        Ok(report)
    }

    /// Takes in an archive. Commits that are here already stay as they are; of two answers for one fingerprint
    /// the younger stays.
    ///
    /// # Errors
    /// [`Kind::Config`] where it is not an archive of a known format, [`Kind::Corrupt`] where it is damaged or
    /// cut off: what was taken in until then stays and is whole.
    pub async fn import(&self, from: impl Read) -> Result<ImportReport> {
        let unpacked = zstd::Decoder::new(from).map_err(|error| reading(&error))?;
        let mut tar = tar::Archive::new(unpacked);
        let mut members = tar.entries().map_err(|_| not_an_archive())?;
        let first = members.next().transpose().map_err(|_| not_an_archive())?;
        let path = first.and_then(|member| member.path().ok().map(|path| path.into_owned()));
        if path.is_none_or(|path| path.as_os_str() != MANIFEST) {
            return Err(not_an_archive());
        }
        let mut report = ImportReport::default();
        let mut objects: HashSet<ObjectId> = HashSet::new();
        let sweep = self.entry(&Key::count(SWEEP)).await?;
        let sweep = sweep.map(|entry| entry.version);
        for member in members {
            let member = member.map_err(|error| reading(&error))?;
            let path =
                member.path().map_err(|error| reading(&error))?.to_string_lossy().into_owned();
            let len = member.size();
            let Some((folder, name)) = path.split_once('/') else { return Err(unknown(&path)) };
            let id: ObjectId = name.parse().map_err(|_| unknown(&path))?;
            let bytes = spool::read(member, len).map_err(|error| reading(&error))?;
            match folder {
                "objects" if ObjectId::of(&bytes) == id => {
                    self.store().write(&id, bytes.into()).await?;
                    objects.insert(id);
                    report.objects += 1;
                }
                "objects" => tracing::warn!(
                    "a result in the archive is damaged and left out ({})",
                    id.short()
                ),
                "commits" => {
                    self.import_commit(
                        &CommitId::new(*id.as_bytes()),
                        &bytes,
                        &objects,
                        sweep,
                        &mut report,
                    )
                    .await?;
                }
                "heads" => {
                    self.import_head(&Fingerprint::new(*id.as_bytes()), &bytes, &mut report)
                        .await?;
                }
                "accepts" => {
                    if !self.import_accepted(&bytes).await? {
                        tracing::warn!("accepted edits in the archive are damaged and left out");
                    }
                }
                _ => return Err(unknown(&path)),
            }
        }
        Ok(report)
    }

    async fn import_commit(
        &self,
        id: &CommitId,
        bytes: &[u8],
        objects: &HashSet<ObjectId>,
        sweep: Option<Version>,
        report: &mut ImportReport,
    ) -> Result<()> {
        let commit = match Commit::decode(id, bytes) {
            Ok(commit) => commit,
            Err(error) => {
                tracing::warn!("a commit in the archive is left out: {error}");
                report.skipped += 1;
                return Ok(());
            }
        };
        let object = commit.stored_output();
        if object.is_some_and(|object| !objects.contains(&object.id)) {
            report.skipped += 1;
            return Ok(());
        }
        let mut ops = vec![
            Op::Check { key: Key::count(SWEEP), when: expect(sweep) },
            Op::Put {
                key: Key::commit(id),
                entry: NewEntry {
                    value: Value::Record(bytes.to_vec().into()),
                    object,
                    labels: labels(&commit),
                    ttl: None,
                },
                when: When::Absent,
            },
        ];
        if commit.status() == Status::Failed {
            ops.push(Op::Add { key: Key::count(FAILED), by: 1, ttl: None });
        }
        match self.apply(Batch { objects: Vec::new(), ops }).await? {
            Applied::All(_) => report.imported += 1,
            // The results that were read before it may be gone.
            Applied::Refused { index: 0, .. } => {
                return Err(Error::new(Kind::Conflict, "results were collected during the import")
                    .with_hint("run the import again; what is there already is passed over"));
            }
            Applied::Refused { .. } => report.skipped += 1,
        }
        Ok(())
    }

    async fn import_head(
        &self,
        fingerprint: &Fingerprint,
        bytes: &[u8],
        report: &mut ImportReport,
    ) -> Result<()> {
        let Some(id) = CommitId::from_slice(bytes) else { return Err(unknown("heads")) };
        let Some(commit) = self.show(&id).await? else { return Ok(()) };
        // The answer must be that fingerprint's own: nobody smuggles another result in under its name.
        let own = commit.fingerprint == *fingerprint;
        let Some(head) = head(&commit, id).filter(|_| own) else { return Ok(()) };
        let key = Key::head(fingerprint);
        let here = self.entry(&key).await?;
        let ours = here.as_ref().and_then(|entry| Head::decode(entry.record()?).ok());
        if ours.is_some_and(|ours| ours.created >= head.created) {
            return Ok(());
        }
        let entry = NewEntry { object: commit.stored_output(), ..NewEntry::record(head.encode()?) };
        let when = expect(here.map(|entry| entry.version));
        let ops = vec![Op::Put { key, entry, when }];
        if let Applied::All(_) = self.apply(Batch { objects: Vec::new(), ops }).await? {
            report.heads += 1;
        }
        Ok(())
    }
}

fn member<W: Write>(tar: &mut tar::Builder<W>, path: &str, bytes: &[u8]) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o600);
    tar.append_data(&mut header, path, bytes).map_err(|error| writing(&error))
}

fn writing(error: &io::Error) -> Error {
    Error::new(Kind::Unavailable, format!("the archive could not be written: {error}"))
}

fn reading(error: &io::Error) -> Error {
    Error::new(Kind::Corrupt, format!("the archive is damaged or cut off: {error}"))
}

fn unknown(path: &str) -> Error {
    Error::new(
        Kind::Corrupt,
        format!("the archive has a member that does not belong there: {path}"),
    )
}

fn not_an_archive() -> Error {
    Error::new(Kind::Config, "this is not an afresh archive of a known format")
        .with_hint("archives are made by `afresh export FILE`")
}
