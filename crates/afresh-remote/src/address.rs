//! `scheme://user:password@host:port/path?option=value`, taken apart; and the same without what is secret.
//!
//! Invariant: nothing but [`Address::url`] and [`Address::password`] gives a password away, and neither is shown by
//! `Debug`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use afresh_core::{Error, Kind, Result};
use url::Url;

use crate::RemoteOptions;

/// An address of a store on a server.
#[derive(Clone)]
pub struct Address {
    url: Url,
    options: BTreeMap<String, String>,
}

impl Address {
    /// Takes `scheme:rest` apart. Its options are then [taken](Self::take) one by one.
    ///
    /// # Errors
    /// [`Kind::Config`] where it is not an address. The message does not repeat it: it may hold a password.
    pub fn parse(address: &str) -> Result<Self> {
        let mut url = Url::parse(address).map_err(|error| {
            Error::new(Kind::Config, format!("the address of the store is not a URL: {error}"))
                .with_hint(
                    "write scheme://user:password@host:port/path; `%` escapes what is special",
                )
        })?;
        let options = url
            .query_pairs()
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        url.set_query(None);
        Ok(Self { url, options })
    }

    /// All but the options, with the password.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The password as it is written in the address (with `%` escapes), where there is one.
    pub fn password(&self) -> Option<&str> {
        self.url.password()
    }

    /// All but the options, with `***` for the password.
    pub fn redacted(&self) -> String {
        let mut url = self.url.clone();
        if url.password().is_some() && url.set_password(Some("***")).is_err() {
            return format!("{}:", self.url.scheme());
        }
        url.to_string()
    }

    /// Takes an option out.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.options.remove(name)
    }

    /// Takes `timeout=` out: seconds, such as `0.5`, or with a unit, `500ms` or `2s`.
    ///
    /// # Errors
    /// [`Kind::Config`] where it is not a time above 0.
    pub fn remote_options(&mut self) -> Result<RemoteOptions> {
        self.patience(RemoteOptions::default())
    }

    /// Like [`remote_options`](Self::remote_options), for a store whose server is slower than most.
    ///
    /// # Errors
    /// [`Kind::Config`] where it is not a time above 0.
    pub fn patience(&mut self, otherwise: RemoteOptions) -> Result<RemoteOptions> {
        let mut options = otherwise;
        if let Some(text) = self.take("timeout") {
            let (number, scale) = match text.strip_suffix("ms") {
                Some(number) => (number, 1e-3),
                None => (text.strip_suffix('s').unwrap_or(&text), 1.0),
            };
            let seconds = number.trim().parse::<f64>().ok().map(|number| number * scale);
            let seconds = seconds.filter(|seconds| *seconds > 0.0);
            options.timeout = seconds
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .ok_or_else(|| {
                    Error::new(Kind::Config, format!("`timeout={text}` is not a time"))
                        .with_hint("write seconds such as `timeout=0.5`, or `timeout=500ms`")
                })?;
            options.bulk = options.bulk.max(options.timeout);
        }
        Ok(options)
    }

    /// Whatever was not taken is not known.
    ///
    /// # Errors
    /// [`Kind::Config`], naming the option and those there are.
    pub fn finish(self, known: &[&str]) -> Result<()> {
        match self.options.keys().next() {
            None => Ok(()),
            Some(name) => Err(Error::new(
                Kind::Config,
                format!("`{}:` has no option `{name}`", self.url.scheme()),
            )
            .with_hint(format!(
                "the options are {}, timeout=SECONDS and near=SIZE",
                known.join(", ")
            ))),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.redacted()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let mut address = Address::parse("redis://ada:s3cret@host:1/0?timeout=500ms&x=1").unwrap();
        assert_eq!(address.redacted(), "redis://ada:***@host:1/0");
        assert!(!format!("{address:?}").contains("s3cret"));
        assert_eq!(address.remote_options().unwrap().timeout, Duration::from_millis(500));
        let error = address.finish(&["prefix=TEXT"]).unwrap_err();
        assert!(error.message().contains("`x`"), "{error}");
    }

    #[test]
    fn a_bad_address_is_not_repeated() {
        let error = Address::parse("redis://u:s3cret@:::/").unwrap_err();
        assert!(!format!("{error:?}").contains("s3cret"));
    }
}
