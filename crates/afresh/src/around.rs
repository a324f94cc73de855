//! What an address may put around a store: `objects=`, `local=`, `sealed`, `readonly`.

use std::sync::Arc;

use afresh_core::{Error, Kind, Result, Store};
use afresh_engine::Options;

/// What was asked for.
#[derive(Debug, Default)]
pub(crate) struct Around {
    objects: Option<String>,
    local: Option<String>,
    local_size: Option<u64>,
    sealed: bool,
    readonly: bool,
}

/// Opens another address, without anything around it.
type Plain = fn(&str) -> Result<Arc<dyn Store>>;

impl Around {
    /// Takes an option, if it is one of these.
    pub(crate) fn take(&mut self, name: &str, value: &str) -> Result<bool> {
        match name {
            "objects" => self.objects = Some(decode(value)),
            "local" => self.local = Some(decode(value)),
            "local_size" => self.local_size = Some(crate::units::size(value)?),
            "sealed" => self.sealed = yes(name, value)?,
            "readonly" => self.readonly = yes(name, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whether anything is to be put around the store.
    fn is_plain(&self) -> bool {
        self.objects.is_none()
            && self.local.is_none()
            && self.local_size.is_none()
            && !self.sealed
            && !self.readonly
    }

    /// Puts it around `store`. What is kept on this machine is as sealed as what the server keeps.
    #[cfg(feature = "compose")]
    pub(crate) fn wrap(
        self,
        mut store: Arc<dyn Store>,
        options: &Options,
        plain: Plain,
    ) -> Result<Arc<dyn Store>> {
        use afresh_compose::{ReadOnly, Sealed, SealingKey, Split, Tiered};

        /// Of outputs kept on this machine, without `local_size=`.
        const LOCAL: u64 = 1 << 30;
        if self.is_plain() {
            return Ok(store);
        }
        if let Some(objects) = &self.objects {
            store = Arc::new(Split::new(store, plain(objects)?));
        }
        match &self.local {
            Some(local) => {
                let budget = self.local_size.unwrap_or(LOCAL);
                store = Arc::new(Tiered::new(plain(local)?, store, budget));
            }
            None if self.local_size.is_some() => {
                return Err(Error::new(Kind::Config, "`local_size=` is for a store with `local=`")
                    .with_hint("add `local=FOLDER`"));
            }
            None => {}
        }
        if self.sealed {
            let secret = options.secret.as_ref().ok_or_else(|| {
                Error::new(Kind::Config, "`sealed` needs a secret")
                    .with_hint("give `secret=` where the store is opened, or AFRESH_SECRET")
            })?;
            let key = SealingKey::new(secret.derive("afresh 2026-11-21 sealing of a store v1"));
            store = Arc::new(Sealed::new(store, key));
        }
        if self.readonly {
            store = Arc::new(ReadOnly::new(store));
        }
        Ok(store)
    }

    /// Without the crate that does it.
    #[cfg(not(feature = "compose"))]
    pub(crate) fn wrap(
        self,
        store: Arc<dyn Store>,
        _: &Options,
        _: Plain,
    ) -> Result<Arc<dyn Store>> {
        if self.is_plain() {
            return Ok(store);
        }
        Err(Error::new(Kind::Unsupported, "this build of afresh cannot put stores together")
            .with_hint("build it with the feature `compose`"))
    }
}

fn yes(name: &str, value: &str) -> Result<bool> {
    match value {
        "" | "1" | "true" | "yes" => Ok(true),
        "0" | "false" | "no" => Ok(false),
        _ => Err(Error::new(Kind::Config, format!("`{name}={value}` is neither yes nor no"))
            .with_hint(format!("write `{name}=1` or `{name}=0`"))),
    }
}

/// `%xx` for what would otherwise end the option.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%')
            .then(|| after.get(..2).and_then(|two| std::str::from_utf8(two).ok()))
            .flatten()
            .and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
