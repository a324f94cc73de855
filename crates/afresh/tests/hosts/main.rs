//! Leases and answers between real processes over real servers: eight workers on two "hosts", one of which reaches the
//! server over a wire that can be cut. Owners are killed, paused and cut off, servers die and hang, answers are taken
//! back while they are computed. On every store: one run for each call while leases hold, never a wrong value, and an
//! owner that comes late is fenced off.
//!
//! The test binary runs itself again as a worker, which does what it is told on its input and tells on its output what
//! became of it. Tests are named by their store: `cargo test … --test hosts redis`.
#![cfg(feature = "stores")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed"
)]
#![allow(missing_docs, reason = "tests are named by what they say")]

mod drill;
mod faults;
mod ground;
mod leases;
mod taken_back;
mod worker;

use faults::*;
use leases::*;
use taken_back::*;

/// Tests of a store: each a drill on its ground.
macro_rules! drills {
    ($($store:ident: $($drill:ident),+;)+) => {
        $(mod $store {
            $(#[test]
            fn $drill() {
                crate::$drill(crate::ground::$store);
            })+
        })+
    };
}

drills! {
    redis: each_call_runs_once, a_killed_owner_is_taken_over, a_paused_owner_is_fenced_off,
        a_host_that_is_cut_off_comes_back, nothing_taken_back_is_served;
    redis_cluster: each_call_runs_once, a_killed_owner_is_taken_over, a_paused_owner_is_fenced_off,
        a_host_that_is_cut_off_comes_back, nothing_taken_back_is_served;
    postgresql: each_call_runs_once, a_killed_owner_is_taken_over, a_paused_owner_is_fenced_off,
        a_host_that_is_cut_off_comes_back, nothing_taken_back_is_served;
    mysql: each_call_runs_once, a_killed_owner_is_taken_over, a_paused_owner_is_fenced_off,
        a_host_that_is_cut_off_comes_back, nothing_taken_back_is_served;
    mongodb: each_call_runs_once, a_killed_owner_is_taken_over, a_paused_owner_is_fenced_off,
        a_host_that_is_cut_off_comes_back, nothing_taken_back_is_served;
    s3: each_call_runs_once, a_killed_owner_is_taken_over, a_paused_owner_is_fenced_off,
        a_host_that_is_cut_off_comes_back, nothing_taken_back_is_served;
    // Of processes on one host over a folder, whose locks the kernel keeps.
    folder: each_call_runs_once, a_killed_owner_is_taken_over, a_paused_owner_is_waited_for,
        nothing_taken_back_is_served;
    // Stores made of stores.
    redis_with_local_copies: each_call_runs_once, nothing_taken_back_is_served;
    redis_with_outputs_in_a_folder: each_call_runs_once, nothing_taken_back_is_served;
    redis_with_outputs_in_s3: each_call_runs_once, nothing_taken_back_is_served;
}

/// Servers that die and hang under their callers.
macro_rules! faulty {
    ($($store:ident: $($drill:ident),+;)+) => {
        $(mod $store {
            $(#[test]
            fn $drill() {
                crate::$drill(crate::faults::Private::$store);
            })+
        })+
    };
}

mod server {
    faulty! {
        redis: a_killed_server_comes_back, a_paused_server_comes_back;
        postgresql: a_killed_server_comes_back, a_paused_server_comes_back;
        mysql: a_killed_server_comes_back, a_paused_server_comes_back;
        mongodb: a_killed_server_comes_back, a_paused_server_comes_back;
        // What moto keeps is gone with it.
        s3: a_paused_server_comes_back;
    }
}

#[test]
#[ignore = "what the drills start as a worker"]
fn worker() {
    worker::work();
}
