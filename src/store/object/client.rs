//! Connecting to a store with what the environment says, and its errors in one sentence each.
//!
//! What servers say of a refused request may repeat parts of what signed it, so nothing of an answer is shown but its
//! code.

use std::collections::HashMap;
use std::error::Error as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::HttpError;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectStore, RetryConfig, UpdateVersion,
};
use reqwest::header::HeaderValue;

use crate::error::{Error, Result};
use crate::http;
use crate::store::backend::Version;
use crate::store::lake::Patience;

/// How long a store that gives no answer is asked again.
pub fn wait(patience: Patience) -> Duration {
    match patience {
        Patience::Minutes => Duration::from_secs(240),
        Patience::Seconds => Duration::from_secs(4),
    }
}

/// Only the time ends it: a count would be over in seconds where a connection is refused at once.
fn retry(wait: Duration) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: wait / 16,
            ..BackoffConfig::default()
        },
        max_retries: usize::MAX,
        retry_timeout: wait,
    }
}

/// The store of a URL, and the prefix that the URL names in it.
pub fn connect(url: &str, patience: Patience) -> Result<(Arc<dyn ObjectStore>, String)> {
    http::set_up_tls();
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let options = ClientOptions::new()
        .with_user_agent(HeaderValue::from_static(concat!("longrun/", env!("CARGO_PKG_VERSION"))))
        .with_connect_timeout(Duration::from_secs(10))
        .with_timeout(Duration::from_secs(300))
        .with_allow_http(is_local_endpoint());
    let unusable = |e: object_store::Error| said(url, &e);
    let store: Arc<dyn ObjectStore> = match scheme {
        "gs" => Arc::new(
            GoogleCloudStorageBuilder::from_env()
                .with_bucket_name(bucket)
                .with_client_options(options)
                .with_retry(retry(wait(patience)))
                .build()
                .map_err(unusable)?,
        ),
        "s3" => {
            let mut builder = AmazonS3Builder::from_env();
            for (key, value) in of_aws_files(&builder) {
                builder = builder.with_config(key, value);
            }
            Arc::new(
                builder
                    .with_bucket_name(bucket)
                    .with_client_options(options)
                    .with_retry(retry(wait(patience)))
                    .build()
                    .map_err(unusable)?,
            )
        }
        _ => return Err(Error::Usage(format!("{url} is no lake: a URL begins with gs:// or s3://"))),
    };
    Ok((store, prefix.trim_end_matches('/').to_string()))
}

/// Whether the environment names a store on this machine, which has no certificate.
fn is_local_endpoint() -> bool {
    ["AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "GOOGLE_BASE_URL"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .any(|url| reqwest::Url::parse(&url).is_ok_and(|url| http::is_loopback(&url)))
}

/// What the AWS files say that the environment does not: keys and the region of the profile.
fn of_aws_files(builder: &AmazonS3Builder) -> Vec<(AmazonS3ConfigKey, String)> {
    let lacks = |key: &AmazonS3ConfigKey| builder.get_config_value(key).is_none();
    let has = |name: &str| std::env::var_os(name).is_some();
    let profile = std::env::var("AWS_PROFILE").unwrap_or_else(|_| "default".to_string());
    let file = |variable: &str, name: &str| -> String {
        let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".aws").join(name));
        let path = std::env::var_os(variable).map(PathBuf::from).or(home);
        path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default()
    };
    let mut found = section(&file("AWS_CONFIG_FILE", "config"), &[&profile, &format!("profile {profile}")]);
    found.extend(section(&file("AWS_SHARED_CREDENTIALS_FILE", "credentials"), &[&profile]));
    let mut wanted = vec![("region", AmazonS3ConfigKey::Region)];
    // Another way to prove who one is comes before the keys of a file.
    let other = [
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ];
    if lacks(&AmazonS3ConfigKey::AccessKeyId) && !other.iter().any(|name| has(name)) {
        wanted.extend([
            ("aws_access_key_id", AmazonS3ConfigKey::AccessKeyId),
            ("aws_secret_access_key", AmazonS3ConfigKey::SecretAccessKey),
            ("aws_session_token", AmazonS3ConfigKey::Token),
        ]);
    }
    let says = |(name, key): (&str, AmazonS3ConfigKey)| Some((key, found.get(name)?.clone()));
    wanted.into_iter().filter(|(_, key)| lacks(key)).filter_map(says).collect()
}

/// The settings of a section of an INI file that is called one of these.
fn section(text: &str, names: &[&str]) -> HashMap<String, String> {
    let mut is_in = false;
    let mut found = HashMap::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            is_in = names.contains(&name.trim());
        } else if let Some((name, value)) = line.split_once('=').filter(|_| is_in) {
            found.insert(name.trim().to_string(), value.trim().to_string());
        }
    }
    found
}

/// The ETag and the generation as one value; neither has the separator in it.
pub fn version(e_tag: Option<&str>, generation: Option<&str>) -> Version {
    Version(format!("{}\n{}", e_tag.unwrap_or_default(), generation.unwrap_or_default()))
}

pub fn update(version: &Version) -> UpdateVersion {
    let (e_tag, generation) = version.as_str().split_once('\n').unwrap_or_default();
    let some = |text: &str| Some(text.to_string()).filter(|text| !text.is_empty());
    UpdateVersion { e_tag: some(e_tag), version: some(generation) }
}

/// To get a part of one version of an object.
pub fn of_version(version: &Version, range: GetRange) -> GetOptions {
    let update = update(version);
    // A generation is asked for by its number, and an ETag by a condition.
    GetOptions {
        range: Some(range),
        if_match: if update.version.is_some() { None } else { update.e_tag },
        version: update.version,
        ..GetOptions::default()
    }
}

/// Whether the object is not there; a bucket that is not there is something else.
pub fn is_no_object(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. }) && code(error).as_deref() != Some("NoSuchBucket")
}

/// Whether no answer came, or not all of one: what was asked for may have been done.
pub fn is_unanswered(error: &object_store::Error) -> bool {
    no_answer(error).is_some()
}

/// What kept an answer away.
fn no_answer(error: &object_store::Error) -> Option<String> {
    let mut cause = error.source();
    while cause.is_some_and(|cause| !cause.is::<HttpError>()) {
        cause = cause.and_then(|cause| cause.source());
    }
    let mut first = cause?;
    while let Some(cause) = first.source() {
        first = cause;
    }
    Some(first.to_string())
}

/// Whether somebody else's bytes were there.
pub fn is_conflict(error: &object_store::Error) -> bool {
    use object_store::Error::{AlreadyExists, NotFound, NotModified, Precondition};
    matches!(error, AlreadyExists { .. } | Precondition { .. } | NotModified { .. })
        // An update of what was removed.
        || (matches!(error, NotFound { .. }) && is_no_object(error))
        // S3 says so where two conditional puts meet.
        || code(error).as_deref() == Some("ConditionalRequestConflict")
}

/// The code that a store's answer has.
fn code(error: &object_store::Error) -> Option<String> {
    let text = http::chain(error);
    let code = text.split_once("<Code>")?.1.split_once("</Code>")?.0;
    let is_word = !code.is_empty() && code.len() < 64 && code.bytes().all(|b| b.is_ascii_alphanumeric());
    is_word.then(|| code.to_string())
}

/// The HTTP status that an error tells of.
fn status(error: &object_store::Error) -> Option<u16> {
    let text = http::chain(error);
    let mut words = text.split([' ', ':', '(', ')', '"']);
    words.find_map(|word| word.parse().ok().filter(|status| (400..600).contains(status)))
}

/// What is wrong, in one sentence that says what to do.
pub fn said(url: &str, error: &object_store::Error) -> Error {
    use object_store::Error::{NotFound, PermissionDenied, Unauthenticated};
    let bucket = url.split("://").nth(1).unwrap_or_default().split('/').next().unwrap_or_default();
    let (code, text) = (code(error), http::chain(error).to_ascii_lowercase());
    let is_code = |codes: &[&str]| code.as_deref().is_some_and(|code| codes.contains(&code));
    let what = if is_code(&["RequestTimeTooSkewed", "RequestExpired"])
        || text.contains("invalid_grant") && text.contains("iat")
    {
        "this machine's clock is wrong, and the store refuses what it signs; set the clock".to_string()
    } else if is_code(&["NoSuchBucket"])
        || text.contains("bucket does not exist")
        || (matches!(error, NotFound { .. }) && code.is_none())
    {
        format!("there is no bucket {bucket}; make it, or name another with --lake")
    } else if is_code(&[
        "AuthorizationHeaderMalformed",
        "PermanentRedirect",
        "IllegalLocationConstraintException",
    ]) || text.contains("redirect")
    {
        format!("the bucket {bucket} is in another region; set AWS_REGION to it")
    } else if matches!(error, PermissionDenied { .. } | Unauthenticated { .. })
        || is_code(&[
            "AccessDenied",
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "ExpiredToken",
            "InvalidToken",
        ])
        || ["credential", "token", "metadata", "169.254", "private_key", "service account"]
            .iter()
            .any(|word| text.contains(word))
    {
        let where_from = if url.starts_with("gs") {
            "GOOGLE_APPLICATION_CREDENTIALS, `gcloud auth application-default login`, or the machine's service account"
        } else {
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ~/.aws, or the machine's role"
        };
        format!(
            "the store does not let you in; the credentials ({where_from}) need to read, list and write there"
        )
    } else if let Some(why) = no_answer(error) {
        format!("the store cannot be reached ({why}); check the network, and run this again")
    } else {
        let code = code.or(status(error).map(|status| status.to_string()));
        let code = code.unwrap_or_else(|| "nothing that can be read".to_string());
        format!("the store answered {code}; run this again, and ask its operator if it stays so")
    };
    Error::Remote(format!("{url}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: body.to_string().into() }
    }

    #[test]
    fn what_is_wrong_is_one_sentence_without_anything_secret() {
        let secret = "AKIAEXAMPLE";
        for (code, says) in [
            ("RequestTimeTooSkewed", "set the clock"),
            ("NoSuchBucket", "no bucket people"),
            ("AccessDenied", "does not let you in"),
            ("SignatureDoesNotMatch", "does not let you in"),
            ("AuthorizationHeaderMalformed", "AWS_REGION"),
            ("SlowDown", "SlowDown"),
        ] {
            let body = format!(
                "status 403: <Error><Code>{code}</Code><AWSAccessKeyId>{secret}</AWSAccessKeyId></Error>"
            );
            let sentence = said("s3://people/lake", &refused(&body)).to_string();
            assert!(
                sentence.contains(says) && !sentence.contains(secret) && !sentence.contains('\n'),
                "{sentence}"
            );
        }
    }

    #[test]
    fn keys_of_a_profile_are_read_and_those_of_others_are_not() {
        let text = "[default]\naws_access_key_id = one\n[work]\naws_access_key_id=two\nregion = eu-west-1\n";
        assert_eq!(section(text, &["work"])["aws_access_key_id"], "two");
        assert_eq!(section(text, &["default"]).get("region"), None);
    }

    #[test]
    fn a_version_says_again_what_it_was_made_of() {
        for (e_tag, generation) in
            [(Some("\"a\""), Some("17")), (Some("b"), None), (None, Some("3")), (None, None)]
        {
            let again = update(&version(e_tag, generation));
            assert_eq!((again.e_tag.as_deref(), again.version.as_deref()), (e_tag, generation));
        }
    }
}
