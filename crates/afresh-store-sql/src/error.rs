//! What a server or a driver says, as an error of afresh: whose fault it is, and what to do next.
//!
//! Invariant: [`Kind::Conflict`] means that the same transaction may succeed at once, so it is tried again; and
//! [`Kind::Unavailable`] that the server could not do what it was asked, so it is left alone for a while. No text here
//! holds a password: servers name the user at most.

use std::error::Error as StdError;

use afresh_core::{Error, Kind};

/// What to say of a failure of this class.
struct Class(Kind, Option<&'static str>);

const DENIED: Class =
    Class(Kind::Denied, Some("is the user's name and password in the address right?"));
const FORBIDDEN: Class = Class(
    Kind::Denied,
    Some("the user needs the right to create tables once, and to read and write them afterwards"),
);
const NO_DATABASE: Class =
    Class(Kind::Config, Some("create the database, or name another one in the address"));
const CROWDED: Class =
    Class(Kind::Unavailable, Some("`connections=` in the address is how many each process takes"));
const FULL: Class = Class(Kind::Unavailable, Some("the server has no room left"));
const LARGE: Class =
    Class(Kind::TooLarge, Some("MySQL and MariaDB take what `max_allowed_packet` says"));
const CONFLICT: Class = Class(Kind::Conflict, None);
const GONE: Class =
    Class(Kind::Unavailable, Some("the tables are gone; opened anew, the store makes them again"));
const AWAY: Class = Class(Kind::Unavailable, None);
const ODD: Class = Class(Kind::Unsupported, None);

fn error(class: &Class, message: String) -> Error {
    let error = Error::new(class.0, message);
    match class.1 {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// Everything that an error says, its causes included.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

/// Of a connection that could not be encrypted.
fn encryption(text: String) -> Error {
    let error = Error::new(Kind::Denied, format!("no encrypted connection: {text}"));
    error.with_hint(
        "`ca=FILE` in the address names the authority to trust; `tls=off` does without encryption",
    )
}

/// From the driver of PostgreSQL.
pub(crate) fn postgres(failure: &tokio_postgres::Error) -> Error {
    let Some(said) = failure.as_db_error() else {
        let text = chain(failure);
        return if text.contains("TLS") || text.contains("certificate") {
            encryption(text)
        } else if text.contains("authentication") || text.contains("password missing") {
            error(&DENIED, text)
        } else {
            error(&AWAY, text)
        };
    };
    let code = said.code().code();
    let class = match code {
        "28P01" | "28000" => &DENIED,
        "42501" | "25006" => &FORBIDDEN,
        "3D000" => &NO_DATABASE,
        "40001" | "40P01" | "23505" | "55P03" => &CONFLICT,
        "53300" => &CROWDED,
        "53100" | "53200" | "53000" => &FULL,
        "42P01" | "42703" => &GONE,
        "54000" => &LARGE,
        _ if code.starts_with("08") || code.starts_with("57") || code.starts_with("58") => &AWAY,
        _ => &ODD,
    };
    error(class, format!("{} (SQLSTATE {code})", said.message()))
}

/// From the driver of MySQL.
pub(crate) fn mysql(failure: &mysql_async::Error) -> Error {
    use mysql_async::{DriverError, Error as Failure, IoError};
    match failure {
        Failure::Server(said) => {
            let class = match said.code {
                1045 | 1698 | 1862 | 2059 => &DENIED,
                1044 | 1142 | 1143 | 1227 | 1290 | 1370 | 1792 | 1836 => &FORBIDDEN,
                1049 => &NO_DATABASE,
                1062 | 1205 | 1213 | 1020 => &CONFLICT,
                1040 | 1203 | 1226 => &CROWDED,
                1021 | 1037 | 1041 | 1114 | 1030 => &FULL,
                1146 => &GONE,
                1153 | 1301 | 1406 => &LARGE,
                1053 | 1077 | 1129 | 1152 | 1158..=1161 | 1317 | 1927 => &AWAY,
                _ => &ODD,
            };
            error(class, format!("{} (error {})", said.message, said.code))
        }
        Failure::Io(IoError::Tls(_)) | Failure::Driver(DriverError::NoClientSslFlagFromServer) => {
            encryption(chain(failure))
        }
        Failure::Driver(DriverError::PacketTooLarge) => error(&LARGE, chain(failure)),
        Failure::Driver(
            DriverError::UnknownAuthPlugin { .. } | DriverError::MysqlOldPasswordDisabled,
        ) => error(&DENIED, chain(failure)),
        other => {
            let text = chain(other);
            if text.contains("certificate") { encryption(text) } else { error(&AWAY, text) }
        }
    }
}
