//! The numbers of the design, measured in one run and printed as ratios; and those of the emulator (E1).
//!
//! `cargo bench --bench numbers` runs all; `cargo bench --bench numbers -- p1 p5` some of them.

mod core;
mod emulator;
mod events;
mod http;
mod memory;
mod plain;
mod program;
mod report;
mod restart;
mod routing;
mod service;
mod tokens;

/// The allocator of the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let Some((role, rest)) = words.split_first().and_then(|(first, rest)| {
        first.strip_prefix("child-").map(|role| (role.to_owned(), rest.to_vec()))
    }) {
        match role.as_str() {
            "memory" => memory::child(&rest),
            "server" => http::child(&rest),
            "fill" => restart::fill(&rest),
            "open" => restart::open(&rest),
            "assign" => routing::assign(&rest),
            "decide" => routing::measure(&rest),
            other => report::say(&format!("no such child: {other}")),
        }
        return;
    }
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| word == name);
    if wanted("p1") {
        core::p1();
    }
    if wanted("p2") {
        http::p2();
    }
    if wanted("p2b") {
        http::p2b();
    }
    if wanted("p3") {
        http::p3();
    }
    if wanted("p4") {
        service::p4();
    }
    if wanted("p5") {
        memory::p5();
    }
    if wanted("p6") {
        http::p6();
    }
    if wanted("p7") {
        routing::p7();
    }
    if wanted("p8") {
        restart::p8();
    }
    if wanted("p9") {
        service::p9();
    }
    if wanted("e1") {
        emulator::e1();
    }
}
