//! What has no content to read: handles, and everything that nothing else understands.
//!
//! A handle that only carries a connection, a lock or messages is identified by its type, with a
//! note that says so. A thing that is used up or has a position (an iterator, an open file), and a
//! mock, which answers whatever it was told to, is no value: a digest by type would give wrong
//! answers, so there is none and the call runs uncached. What is left is pickled, by cloudpickle if
//! that is installed; such bytes may differ where the value does not, which is said in a note.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyType};

use super::context::Context;
use super::failure::{Failure, Fallible, attempt, type_name};
use super::kind::Take;
use super::node::Part;

type Value<'a, 'py> = &'a Bound<'py, PyAny>;

/// Handles by library and qualified name of the class.
pub(super) fn known(library: &str, name: &str) -> Option<Take> {
    Some(match (library, name) {
        ("logging", "Logger" | "Handler" | "LoggerAdapter" | "PlaceHolder" | "Manager")
        | ("_thread", "lock" | "RLock")
        | ("threading", "_RLock" | "Condition" | "Event" | "Semaphore" | "Barrier")
        | ("multiprocessing", "SemLock" | "Condition" | "Event" | "Barrier" | "BaseManager")
        | ("multiprocessing", "Pool" | "Connection" | "_ConnectionBase")
        | ("asyncio", "Lock" | "Event" | "Condition" | "Semaphore" | "AbstractEventLoop")
        | ("asyncio", "BaseEventLoop")
        | ("concurrent", "Executor")
        | ("_socket" | "socket", "socket")
        | ("_ssl" | "ssl", "_SSLContext" | "SSLContext")
        | ("select", _)
        | ("selectors", "BaseSelector")
        | ("urllib", "OpenerDirector")
        | ("http", "HTTPConnection")
        | ("ftplib", "FTP")
        | ("smtplib", "SMTP")
        | ("imaplib", "IMAP4")
        | ("requests", "Session")
        | ("urllib3", "PoolManager" | "ConnectionPool")
        | ("httpx", "BaseClient")
        | ("aiohttp", "ClientSession")
        | ("openai", "BaseClient")
        | ("anthropic", "BaseClient")
        | ("botocore", "BaseClient" | "Session")
        | ("boto3", "Session" | "ServiceResource")
        | ("redis", "Redis" | "AbstractRedis" | "ConnectionPool")
        | ("pymongo", "MongoClient" | "AsyncMongoClient" | "Database" | "Collection")
        | ("psycopg2" | "psycopg2_", "connection")
        | ("psycopg", "BaseConnection")
        | ("psycopg_pool", "BasePool")
        | ("asyncpg", "Connection" | "Pool")
        | ("pymysql" | "MySQLdb", "Connection")
        | ("mysql", "MySQLConnectionAbstract")
        | ("duckdb" | "_duckdb", "DuckDBPyConnection")
        | ("elasticsearch", "BaseClient")
        | ("kafka", "KafkaProducer" | "KafkaConsumer" | "KafkaClient")
        | ("grpc", "Channel")
        | ("google", "ClientWithProject" | "Client")
        | ("paramiko", "SSHClient" | "Transport")
        | ("playwright", "Page" | "Browser" | "BrowserContext")
        | ("selenium", "WebDriver")
        | ("distributed", "Client")
        | ("tqdm", "tqdm" | "Comparable")
        | ("rich", "Console" | "Progress" | "Live")
        | ("loguru", "Logger")
        | ("structlog", "BoundLoggerBase" | "BoundLoggerLazyProxy") => handle,
        ("_contextvars" | "contextvars" | "builtins", "ContextVar") => context_variable,
        ("_thread", "_local") => thread_local,
        ("sqlite3" | "_sqlite3", "Connection") => sqlite,
        ("sqlalchemy", "Engine" | "Connection" | "Session" | "scoped_session") => sqlalchemy,
        ("_io" | "io", "BytesIO" | "StringIO") => super::objects::object,
        ("_io" | "io", "_IOBase" | "IOBase") => stream,
        ("tempfile", "_TemporaryFileWrapper" | "SpooledTemporaryFile") => stream,
        ("unittest", "NonCallableMock") | ("mock", "NonCallableMock") => mock,
        ("builtins", "generator" | "coroutine" | "async_generator") => iterator,
        ("builtins", "frame" | "traceback" | "cell") => state_of_run,
        ("_asyncio" | "asyncio", "Future" | "Task") | ("concurrent", "Future") => state_of_run,
        ("threading", "Thread") | ("subprocess", "Popen") => state_of_run,
        ("multiprocessing", "BaseProcess" | "Queue" | "SimpleQueue") => state_of_run,
        ("queue" | "_queue", "Queue" | "SimpleQueue") => state_of_run,
        ("weakref", "ReferenceType" | "ProxyType" | "CallableProxyType") => state_of_run,
        _ => return None,
    })
}

/// Whether instances yield and are used up: the type has a `__next__`.
pub(super) fn is_iterator(class: &Bound<'_, PyType>) -> bool {
    class.hasattr("__next__").unwrap_or(false) || class.hasattr("__anext__").unwrap_or(false)
}

/// Something identified by its type only.
fn handle<'py>(context: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    context.note(format!("`{}` is identified by its type only", type_name(value)));
    let class = context.class(&value.get_type())?;
    Ok(Part::node("handle", [class, Part::None]))
}

/// A context variable counts as its value here and now: that is what whoever refers to it reads.
fn context_variable<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let name = Part::Value(value.getattr("name")?);
    // Without a value and a default, `get` raises.
    Ok(match attempt(context.py, value.call_method0("get"))? {
        Some(current) => Part::node("contextvar", [name, Part::Value(current)]),
        None => Part::node("contextvar", [name]),
    })
}

/// What this thread has in it.
fn thread_local<'py>(context: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    let class = context.class(&value.get_type())?;
    Ok(match attempt(context.py, value.getattr("__dict__"))? {
        Some(state) => Part::node("local", [class, Part::Value(state)]),
        None => Part::node("local", [class]),
    })
}

/// A connection that can say to what.
fn connected<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
    to: PyResult<Bound<'py, PyAny>>,
) -> Fallible<Part<'py>> {
    let Some(to) = attempt(context.py, to)? else { return handle(context, value) };
    let name = type_name(value);
    context.note(format!("`{name}` is identified by its type and what it is connected to"));
    let class = context.class(&value.get_type())?;
    Ok(Part::node("handle", [class, Part::Value(to)]))
}

fn sqlite<'py>(context: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    let class = context.py.import("sqlite3").and_then(|module| module.getattr("Connection"));
    let to = class
        .and_then(|class| class.call_method1("execute", (value, "pragma database_list")))
        .and_then(|rows| rows.call_method0("fetchall"));
    connected(context, value, to)
}

fn sqlalchemy<'py>(context: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    let engine = match attempt(context.py, value.getattr("url"))? {
        Some(url) => Ok(url),
        None => value
            .getattr("bind")
            .or_else(|_| value.getattr("engine"))
            .and_then(|engine| engine.getattr("url")),
    };
    let to = engine.and_then(|url| url.call_method0("render_as_string"));
    connected(context, value, to)
}

/// A file. Only the standard output streams, from which nothing is read, go by what they are.
fn stream<'py>(context: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    let sys = context.py.import("sys")?;
    for name in ["stdout", "stderr", "__stdout__", "__stderr__"] {
        let standard = attempt(context.py, sys.getattr(name))?;
        if standard.is_some_and(|standard| standard.is(value)) {
            return handle(context, value);
        }
    }
    Err(Failure::undigestable(value, "an open file has a position and a content that may change"))
}

pub(super) fn iterator<'py>(
    _: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    Err(Failure::undigestable(value, "it can be read only once; pass a list or a tuple"))
}

fn mock<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    Err(Failure::undigestable(value, "a mock answers what it was told to, which cannot be read"))
}

fn state_of_run<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    Err(Failure::undigestable(value, "it is part of a running program, not a value"))
}

/// A value whose own methods failed.
pub(super) fn last_resort<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
    error: &PyErr,
) -> Fallible<Part<'py>> {
    let py = context.py;
    for name in ["cloudpickle", "pickle"] {
        let pickled = py.import(name).and_then(|module| module.call_method1("dumps", (value,)));
        if let Some(pickled) = attempt(py, pickled)?
            && let Ok(bytes) = pickled.cast::<PyBytes>()
        {
            let type_name = type_name(value);
            context.note(format!("`{type_name}` is identified by what {name} makes of it"));
            return Ok(Part::Opaque(type_name, bytes.as_bytes().to_vec()));
        }
    }
    let reason = attempt(py, error.value(py).str())?;
    let reason = reason.map_or_else(String::new, |text| text.to_string_lossy().into_owned());
    let kind = error.get_type(py).name().map_or_else(|_| "error".into(), |name| name.to_string());
    Err(Failure::undigestable(value, format!("{kind}: {reason}")))
}
