//! Taking answers back. Entries go first; the bytes that nothing refers to any more go with the next gc.

use std::collections::HashSet;
use std::time::Duration;

use afresh_core::{
    Batch, CommitId, Fingerprint, Head, Key, Op, Result, Scan, Space, Status, Tag, When,
};

use crate::engine::Engine;
use crate::log::{commits, names};
use crate::sweep;
use crate::taken::Scope;

/// Which answers to take back. All conditions hold together; none at all selects every answer.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Of this function: its full name, or the last part of it.
    pub function: Option<String>,
    /// With all these tags.
    pub tags: Vec<Tag>,
}

impl Engine {
    /// Forgets one commit: its record, and the answer if it is the current one. Whether it was there.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn rm(&self, id: &CommitId) -> Result<bool> {
        let Some(commit) = self.show(id).await? else { return Ok(false) };
        self.taking_back(Scope::Call(&commit.fingerprint)).await?;
        let key = Key::head(&commit.fingerprint);
        let head = self.entry(&key).await?;
        let mut ops = Vec::new();
        if let Some(entry) = head
            && entry
                .record()
                .is_some_and(|record| Head::decode(record).is_ok_and(|head| head.commit == *id))
        {
            ops.push(Op::Delete { key, when: When::Is(entry.version) });
        }
        ops.extend(sweep::delete(Key::commit(id), commit.status() == Status::Failed));
        if let afresh_core::Applied::Refused { .. } =
            self.apply(Batch { objects: Vec::new(), ops }).await?
        {
            // The answer was replaced at this moment; only the record is left to forget.
            let ops = sweep::delete(Key::commit(id), commit.status() == Status::Failed).collect();
            self.apply(Batch { objects: Vec::new(), ops }).await?;
        }
        Ok(true)
    }

    /// Takes back the answer for one fingerprint; its history stays. Whether there was one.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn forget(&self, fingerprint: &Fingerprint) -> Result<bool> {
        self.taking_back(Scope::Call(fingerprint)).await?;
        let key = Key::head(fingerprint);
        let there = self.entry(&key).await?.is_some();
        let ops = vec![Op::Delete { key, when: When::Always }];
        self.apply(Batch { objects: Vec::new(), ops }).await?;
        Ok(there)
    }

    /// Takes back every answer that `selection` selects; the history stays. How many there were.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn invalidate(&self, selection: &Selection) -> Result<u64> {
        // All conditions hold together, so what is meant has the first.
        self.taking_back(match (selection.tags.first(), &selection.function) {
            (Some(tag), _) => Scope::Tag(tag),
            (None, Some(name)) => Scope::Function(name),
            (None, None) => Scope::Everything,
        })
        .await?;
        let mut scan = Scan { tags: selection.tags.clone(), ..Scan::new(Space::Commit) };
        // A full name means that function only, not also others whose names end so.
        if let Some(name) = &selection.function
            && self.is_full_name(name).await?
        {
            scan.function = Some(name.clone());
        }
        let mut fingerprints = HashSet::new();
        let mut chosen = HashSet::new();
        loop {
            let page = self.store().scan(&scan).await?;
            for (id, commit) in commits(&page) {
                let tagged = selection
                    .tags
                    .iter()
                    .all(|wanted| commit.tags.iter().any(|tag| wanted.selects(tag)));
                let named = match (&scan.function, &selection.function) {
                    (Some(full), _) => commit.function == *full,
                    (None, Some(name)) => names(name, &commit.function),
                    (None, None) => true,
                };
                if tagged && named {
                    fingerprints.insert(commit.fingerprint);
                    chosen.insert(id);
                }
            }
            match page.next {
                Some(next) => scan.cursor = Some(next),
                None => break,
            }
        }
        let mut taken = 0;
        let fingerprints: Vec<_> = fingerprints.into_iter().collect();
        for some in fingerprints.chunks(self.step()) {
            let keys: Vec<_> = some.iter().map(Key::head).collect();
            let found = self.store().get(&keys).await?;
            let mut ops = Vec::new();
            for (key, entry) in keys.into_iter().zip(found) {
                // An answer whose commit does not carry the tag is not meant.
                let meant = entry.is_some_and(|entry| {
                    entry.record().is_none_or(|record| {
                        Head::decode(record).is_ok_and(|head| chosen.contains(&head.commit))
                    })
                });
                if meant {
                    taken += 1;
                    ops.push(Op::Delete { key, when: When::Always });
                }
            }
            if !ops.is_empty() {
                self.apply(Batch { objects: Vec::new(), ops }).await?;
            }
        }
        Ok(taken)
    }

    /// Forgets everything: answers, commits, results. How many commits there were.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn clear(&self) -> Result<u64> {
        self.taking_back(Scope::Everything).await?;
        self.new_sweep().await?;
        let mut commits = 0;
        for space in [Space::Head, Space::Commit, Space::Lease, Space::Named] {
            let mut ops = Vec::new();
            self.each(Scan::new(space), |key, entry| {
                commits += u64::from(space == Space::Commit);
                ops.extend(sweep::delete(key, entry.labels.status == Some(Status::Failed)));
            })
            .await?;
            self.apply_all(ops).await?;
        }
        let objects: Vec<_> = self.objects().await?.into_iter().map(|info| info.id).collect();
        for some in objects.chunks(self.step()) {
            self.store().remove(some, Duration::ZERO).await?;
        }
        Ok(commits)
    }
}
