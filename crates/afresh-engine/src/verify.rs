//! Reading everything once more: is every byte what was written, and does every entry lead somewhere?

use std::collections::HashSet;
use std::fmt;

use afresh_core::{
    Commit, CommitId, Error, Fingerprint, Head, Key, Kind, ObjectId, Op, Result, Scan, Space,
    Status, When,
};

use crate::accept;
use crate::accepted::Accepted;
use crate::engine::Engine;
use crate::sweep;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The object's bytes are not what was written.
    DamagedObject(ObjectId),
    /// The commit's record is not what was written.
    DamagedCommit(CommitId),
    /// The answer's record cannot be read.
    DamagedHead(Fingerprint),
    /// The answer names a commit that is not there.
    HeadWithoutCommit(Fingerprint),
    /// The answer refers to a result that is not there.
    HeadWithoutObject(Fingerprint),
    /// The commit refers to a result that is not there.
    CommitWithoutObject(CommitId),
    /// What was accepted of a function, which is named by the digest of its name, cannot be read.
    DamagedAccepts(ObjectId),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DamagedObject(id) => write!(f, "result {} is damaged", id.short()),
            Self::DamagedCommit(id) => write!(f, "commit {} is damaged", id.short()),
            Self::DamagedHead(id) => write!(f, "the answer for call {} is damaged", id.short()),
            Self::HeadWithoutCommit(id) => {
                write!(f, "the answer for call {} names a commit that is gone", id.short())
            }
            Self::HeadWithoutObject(id) => {
                write!(f, "the answer for call {} names a result that is gone", id.short())
            }
            Self::CommitWithoutObject(id) => {
                write!(f, "commit {} names a result that is gone", id.short())
            }
            Self::DamagedAccepts(id) => {
                write!(f, "the accepted edits of a function ({}) are damaged", id.short())
            }
        }
    }
}

/// What was read and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Objects read.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Commits read.
    pub commits: u64,
    /// Answers read.
    pub heads: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Whether it was put right.
    pub repaired: bool,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}

impl Engine {
    /// Reads every object and every entry. With `repair`, damaged objects are set aside and entries that lead
    /// nowhere removed; every such call is then computed again when it is next asked for.
    /// `progress` is told how many objects were read, of how many.
    ///
    /// # Errors
    /// Whatever keeps the store from answering; damage is a finding, not an error.
    pub async fn verify(
        &self,
        repair: bool,
        mut progress: impl FnMut(u64, u64) + Send,
    ) -> Result<VerifyReport> {
        let mut report = VerifyReport { repaired: repair, ..VerifyReport::default() };
        let objects = self.objects().await?;
        let mut sound = HashSet::with_capacity(objects.len());
        for info in &objects {
            match self.store().read(&info.id).await {
                Ok(Some(bytes)) => {
                    report.bytes += bytes.len() as u64;
                    sound.insert(info.id);
                }
                // Collected since it was listed.
                Ok(None) => {}
                Err(error) if error.kind() == Kind::Corrupt => {
                    report.problems.push(Problem::DamagedObject(info.id));
                }
                Err(error) => return Err(error),
            }
            report.objects += 1;
            progress(report.objects, objects.len() as u64);
        }

        let mut commits = HashSet::new();
        let mut ops = Vec::new();
        let mut suspects = Vec::new();
        let mut orphans = Vec::new();
        self.each(Scan::new(Space::Commit), |key, entry| {
            report.commits += 1;
            let id = CommitId::from_slice(key.bytes());
            let sound_record =
                id.zip(entry.record()).is_some_and(|(id, r)| Commit::decode(&id, r).is_ok());
            let failed = entry.labels.status == Some(Status::Failed);
            match id {
                Some(id) if sound_record => {
                    commits.insert(id);
                    if let Some(object) =
                        sweep::object(&entry).filter(|object| !sound.contains(object))
                    {
                        suspects.push((Problem::CommitWithoutObject(id), object, key, failed));
                    }
                }
                id => {
                    let id = id.unwrap_or(CommitId::new([0; 32]));
                    report.problems.push(Problem::DamagedCommit(id));
                    ops.extend(sweep::delete(key, failed));
                }
            }
        })
        .await?;
        self.each(Scan::new(Space::Head), |key, entry| {
            report.heads += 1;
            let fingerprint =
                Fingerprint::from_slice(key.bytes()).unwrap_or(Fingerprint::new([0; 32]));
            let head = entry.record().and_then(|record| Head::decode(record).ok());
            let Some(head) = head else {
                report.problems.push(Problem::DamagedHead(fingerprint));
                ops.push(Op::Delete { key, when: When::Always });
                return;
            };
            match sweep::object(&entry) {
                Some(object) if !sound.contains(&object) => {
                    suspects.push((Problem::HeadWithoutObject(fingerprint), object, key, false));
                }
                _ if !commits.contains(&head.commit) => {
                    orphans.push((fingerprint, head.commit, key));
                }
                _ => {}
            }
        })
        .await?;
        self.each(accept::scan(), |key, entry| {
            if entry.record().and_then(|record| Accepted::decode(record)).is_none() {
                let id = accept::id(&key).unwrap_or(ObjectId::new([0; 32]));
                report.problems.push(Problem::DamagedAccepts(id));
                ops.push(Op::Delete { key, when: When::Is(entry.version) });
            }
        })
        .await?;
        // What was written while we were reading is looked at again before it is called missing.
        for (problem, object, key, failed) in suspects {
            if self.is_there(&object).await? || self.entry(&key).await?.is_none() {
                continue;
            }
            report.problems.push(problem);
            ops.extend(sweep::delete(key, failed));
        }
        for (fingerprint, commit, key) in orphans {
            if self.entry(&Key::commit(&commit)).await?.is_none()
                && self.entry(&key).await?.is_some()
            {
                report.problems.push(Problem::HeadWithoutCommit(fingerprint));
                ops.push(Op::Delete { key, when: When::Always });
            }
        }
        if repair {
            self.repair(&report.problems, ops).await?;
        }
        Ok(report)
    }

    async fn repair(&self, problems: &[Problem], ops: Vec<Op>) -> Result<()> {
        self.apply_all(ops).await?;
        for problem in problems {
            if let Problem::DamagedObject(id) = problem {
                self.store().quarantine(id).await?;
            }
        }
        Ok(())
    }

    async fn is_there(&self, id: &ObjectId) -> Result<bool> {
        match self.store().read(id).await {
            Ok(found) => Ok(found.is_some()),
            Err(error) if error.kind() == Kind::Corrupt => Ok(false),
            Err(error) => Err::<_, Error>(error),
        }
    }
}
