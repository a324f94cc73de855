//! The HTTP client of the drivers: reqwest, and every answer's `Date` told to the [`Clock`].

use std::time::Duration;

use afresh_core::Timestamp;
use afresh_remote::cells::Clock;
use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};

/// A `Date` says whole seconds.
const GRAIN: Duration = Duration::from_secs(1);

/// Makes clients that keep `clock` right.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) clock: Clock,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Listening { client, clock: self.clock.clone() }))
    }
}

#[derive(Debug)]
struct Listening {
    client: HttpClient,
    clock: Clock,
}

#[async_trait]
impl HttpService for Listening {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let asked = self.clock.here();
        let response = self.client.execute(request).await?;
        let date =
            response.headers().get(reqwest::header::DATE).and_then(|date| date.to_str().ok());
        if let Some(second) = date.and_then(second_of) {
            self.clock.heard(asked, self.clock.here(), second, GRAIN);
        }
        Ok(response)
    }
}

/// The moment in a `Date` header.
fn second_of(date: &str) -> Option<Timestamp> {
    let date = chrono::DateTime::parse_from_rfc2822(date).ok()?;
    Some(Timestamp::from_millis(date.timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_understood() {
        assert_eq!(second_of("Thu, 01 Jan 1970 00:00:07 GMT"), Some(Timestamp::from_millis(7000)));
        assert_eq!(second_of("yesterday"), None);
    }
}
