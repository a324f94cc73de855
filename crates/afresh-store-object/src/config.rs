//! Addresses of buckets and folders, and the drivers made of them.
//!
//! Invariant: nothing is taken from the environment, and what is secret goes to the driver and nowhere else: the address
//! that is shown is scheme, bucket and prefix. Opening makes no request.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use afresh_core::{Error, Kind, Result, Store};
use afresh_remote::cells::Clock;
use afresh_remote::{Address, Remote, RemoteOptions};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::{BackoffConfig, Certificate, ClientOptions, RetryConfig};

use crate::connector::Connector;
use crate::store::ObjectStore;

/// How patient callers are where the address does not say it: object stores take tens of milliseconds on good days.
const PATIENCE: RemoteOptions =
    RemoteOptions { timeout: Duration::from_secs(5), bulk: Duration::from_secs(60) };

/// A driver's options: as in the address, and the driver's name for it.
type Names<Key> = [(&'static str, Key)];

const S3: [(&str, AmazonS3ConfigKey); 6] = [
    ("access_key", AmazonS3ConfigKey::AccessKeyId),
    ("secret_key", AmazonS3ConfigKey::SecretAccessKey),
    ("session_token", AmazonS3ConfigKey::Token),
    ("region", AmazonS3ConfigKey::Region),
    ("endpoint", AmazonS3ConfigKey::Endpoint),
    ("anonymous", AmazonS3ConfigKey::SkipSignature),
];

const GOOGLE: [(&str, GoogleConfigKey); 5] = [
    ("service_account", GoogleConfigKey::ServiceAccount),
    ("service_account_key", GoogleConfigKey::ServiceAccountKey),
    ("token", GoogleConfigKey::BearerToken),
    ("endpoint", GoogleConfigKey::BaseUrl),
    ("anonymous", GoogleConfigKey::SkipSignature),
];

const AZURE: [(&str, AzureConfigKey); 8] = [
    ("account", AzureConfigKey::AccountName),
    ("access_key", AzureConfigKey::AccessKey),
    ("sas", AzureConfigKey::SasKey),
    ("token", AzureConfigKey::Token),
    ("tenant_id", AzureConfigKey::AuthorityId),
    ("client_id", AzureConfigKey::ClientId),
    ("client_secret", AzureConfigKey::ClientSecret),
    ("endpoint", AzureConfigKey::Endpoint),
];

/// Opens the store at an address of `s3:`, `gs:`, `az:` or `file:`. The options are in `docs/guide/stores/object.md`.
///
/// ```
/// let error = afresh_store_object::open("s3://bucket/results?regoin=eu-central-1").unwrap_err();
/// assert!(error.hint().unwrap().contains("region="));
/// ```
///
/// # Errors
/// [`Kind::Config`] for an address that is not understood, [`Kind::Denied`] or [`Kind::Unavailable`] for a folder that
/// cannot be made.
pub fn open(address: &str) -> Result<Arc<dyn Store>> {
    let mut address = Address::parse(address)?;
    let options = address.patience(PATIENCE)?;
    let remote = match address.url().scheme() {
        "s3" => Remote::open(options, |_| s3(address, options)),
        "gs" => Remote::open(options, |_| google(address, options)),
        "az" => Remote::open(options, |_| azure(address, options)),
        "file" => Remote::open(options, |_| folder(address)),
        other => Err(Error::new(Kind::Config, format!("`{other}:` is not a bucket or a folder"))
            .with_hint("the schemes are s3, gs, az and file")),
    };
    Ok(Arc::new(remote?))
}

fn s3(mut address: Address, options: RemoteOptions) -> Result<ObjectStore> {
    let (bucket, prefix) = place(&address)?;
    let clock = Clock::default();
    // Buckets with dots and servers without a wildcard name need the bucket in the path; it works everywhere else too.
    let virtual_hosted = switch(&mut address, "path_style")?.is_some_and(|path_style| !path_style);
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&bucket)
        .with_virtual_hosted_style_request(virtual_hosted)
        // Not every server that speaks S3 can remove many at once, and we never do.
        .with_disable_bulk_delete(true)
        .with_retry(retry(options))
        .with_http_connector(Connector { clock: clock.clone() });
    if let (user, Some(password)) = (address.url().username(), address.password()) {
        builder =
            builder.with_access_key_id(decoded(user)).with_secret_access_key(decoded(password));
    }
    let mut http = false;
    for (name, key) in taken(&mut address, &S3) {
        http |= is_plain(&name);
        builder = builder.with_config(key, name);
    }
    let builder = builder.with_client_options(client(&mut address, options, http)?);
    done(address, &S3, &["path_style=true", "ca=FILE"])?;
    let driver = builder.build().map_err(|error| unbuilt(&error))?;
    Ok(ObjectStore::new("s3", shown("s3", &bucket, &prefix), Arc::new(driver), &prefix, clock))
}

fn google(mut address: Address, options: RemoteOptions) -> Result<ObjectStore> {
    let (bucket, prefix) = place(&address)?;
    let clock = Clock::default();
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&bucket)
        .with_retry(retry(options))
        .with_http_connector(Connector { clock: clock.clone() });
    let mut http = false;
    for (name, key) in taken(&mut address, &GOOGLE) {
        http |= is_plain(&name);
        builder = builder.with_config(key, name);
    }
    let builder = builder.with_client_options(client(&mut address, options, http)?);
    done(address, &GOOGLE, &["ca=FILE"])?;
    let driver = builder.build().map_err(|error| unbuilt(&error))?;
    Ok(ObjectStore::new("gs", shown("gs", &bucket, &prefix), Arc::new(driver), &prefix, clock))
}

fn azure(mut address: Address, options: RemoteOptions) -> Result<ObjectStore> {
    let (container, prefix) = place(&address)?;
    let clock = Clock::default();
    let mut builder = MicrosoftAzureBuilder::new()
        .with_container_name(&container)
        .with_retry(retry(options))
        .with_http_connector(Connector { clock: clock.clone() });
    let mut http = false;
    for (name, key) in taken(&mut address, &AZURE) {
        http |= is_plain(&name);
        builder = builder.with_config(key, name);
    }
    let builder = builder.with_client_options(client(&mut address, options, http)?);
    done(address, &AZURE, &["ca=FILE"])?;
    let driver = builder.build().map_err(|error| unbuilt(&error))?;
    Ok(ObjectStore::new("az", shown("az", &container, &prefix), Arc::new(driver), &prefix, clock))
}

fn folder(mut address: Address) -> Result<ObjectStore> {
    let root: PathBuf = address.url().to_file_path().map_err(|()| {
        Error::new(Kind::Config, "`file:` needs the whole path of a folder")
            .with_hint("write `file:///srv/results`; `%20` is a space")
    })?;
    let sync = match address.take("sync").as_deref() {
        Some("full") => true,
        None | Some("off") => false,
        Some(other) => {
            return Err(Error::new(Kind::Config, format!("`sync={other}` is not known"))
                .with_hint("write `sync=full` or `sync=off`"));
        }
    };
    let shown = address.redacted();
    address.finish(&["sync=full"])?;
    std::fs::create_dir_all(&root).map_err(crate::error::local)?;
    let driver =
        LocalFileSystem::new_with_prefix(&root).map_err(|error| unbuilt(&error))?.with_fsync(sync);
    Ok(ObjectStore::local(shown, Arc::new(driver), root, sync))
}

/// Bucket and prefix of an address.
fn place(address: &Address) -> Result<(String, String)> {
    let bucket = address.url().host_str().filter(|bucket| !bucket.is_empty()).ok_or_else(|| {
        Error::new(Kind::Config, "the address names no bucket")
            .with_hint("write `s3://bucket/prefix`")
    })?;
    Ok((decoded(bucket), decoded(address.url().path().trim_matches('/'))))
}

/// The address as it may be seen by anybody.
fn shown(scheme: &str, bucket: &str, prefix: &str) -> String {
    let slash = if prefix.is_empty() { "" } else { "/" };
    format!("{scheme}://{bucket}{slash}{prefix}")
}

/// The values of the options that are there. No option has spaces in it, so that one was a `+`.
fn taken<Key: Copy>(address: &mut Address, names: &Names<Key>) -> Vec<(String, Key)> {
    let take = |(name, key): &(&str, Key)| Some((address.take(name)?.replace(' ', "+"), *key));
    names.iter().filter_map(take).collect()
}

fn done<Key>(address: Address, names: &Names<Key>, others: &[&str]) -> Result<()> {
    let names: Vec<String> = names
        .iter()
        .map(|(name, _)| format!("{name}="))
        .chain(others.iter().map(|name| (*name).to_owned()))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    address.finish(&names)
}

fn switch(address: &mut Address, name: &str) -> Result<Option<bool>> {
    match address.take(name).as_deref() {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(other) => {
            Err(Error::new(Kind::Config, format!("`{name}={other}` is neither true nor false")))
        }
    }
}

fn is_plain(value: &str) -> bool {
    value.starts_with("http://")
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A few tries within the caller's patience; the circuit breaker does the rest.
fn retry(options: RemoteOptions) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_millis(500),
            base: 2.0,
        },
        max_retries: 3,
        retry_timeout: options.timeout,
    }
}

fn client(address: &mut Address, options: RemoteOptions, http: bool) -> Result<ClientOptions> {
    // Another store of this process may have chosen already; either will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = ClientOptions::new()
        .with_allow_http(http)
        .with_connect_timeout(options.timeout)
        .with_timeout(options.bulk);
    let Some(file) = address.take("ca") else { return Ok(client) };
    let unread = |why: String| {
        Error::new(Kind::Config, format!("`ca={file}` cannot be read: {why}"))
            .with_hint("name a file with one or more certificates in PEM")
    };
    let pem = std::fs::read(&file).map_err(|error| unread(error.to_string()))?;
    let certificates =
        Certificate::from_pem_bundle(&pem).map_err(|error| unread(error.to_string()))?;
    Ok(certificates.into_iter().fold(client, ClientOptions::with_root_certificate))
}

/// The driver's words may hold what it was given; only its kind of complaint is passed on.
fn unbuilt(error: &object_store::Error) -> Error {
    let words = error.to_string();
    let about = [
        "MissingAccount",
        "Account must be specified",
        "service account",
        "credential",
        "URL",
        "region",
    ]
    .into_iter()
    .find(|about| words.contains(about));
    Error::new(Kind::Config, "the driver does not take the options of the address").with_hint(
        format!(
            "is there one missing, or not well-formed? It is about {}",
            about.unwrap_or("one of them")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_shown() {
        for address in [
            "s3://ADA:s3cret@bucket/a/b?region=eu-central-1&session_token=s3cret",
            "s3://bucket/a/b?access_key=ADA&secret_key=s3cret",
            "gs://bucket/a/b?token=s3cret",
            "az://bucket/a/b?account=ada&access_key=czNjcmV0&sas=sig%3Ds3cret",
            "az://bucket/a/b?account=ada&client_secret=s3cret&tenant_id=t&client_id=c",
        ] {
            let store = open(address).unwrap();
            let shown = format!("{} {:?}", store.info().address, store.info());
            assert!(
                shown.contains("bucket/a/b") && !shown.contains("s3cret") && !shown.contains("ADA"),
                "{shown}"
            );
            let debug = format!("{store:?}");
            assert!(!debug.contains("s3cret") && !debug.contains("czNjcmV0"), "{debug}");
        }
    }

    #[test]
    fn a_wrong_address_is_explained() {
        for (address, about) in [
            ("s3:///x", "no bucket"),
            ("s3://b?path_style=maybe&secret_key=s3cret", "path_style"),
            ("s3://b?ca=/no/such/file&secret_key=s3cret", "ca="),
            ("s3://b?sekret_key=s3cret", "sekret_key"),
            ("file:///tmp?sync=sometimes", "sync"),
            ("az://b?secret_key=s3cret", "secret_key"),
            ("gs://b?service_account_key=s3cret", "options"),
            ("ftp://b", "ftp"),
        ] {
            let error = open(address).unwrap_err();
            assert_eq!(error.kind(), Kind::Config, "{error}");
            assert!(error.to_string().contains(about), "{error}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }
}
