//! Prints recorded events of a busy host, as many as the first argument says: what `sentinel replay` is measured with.
//!
//! Mostly opens, some execs and connects, a few that shipped rules fire on. The same number gives the same lines. Networks
//! are those of documentation and benchmarks (RFC 5737, RFC 2544).

use std::io::{BufWriter, Write as _};

const PROGRAMS: [&str; 8] = ["cc1", "make", "nginx", "postgres", "python3.11", "sh", "curl", "systemd-journald"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: u64 = std::env::args().nth(1).unwrap_or_else(|| "1000".to_owned()).parse()?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    writeln!(out, r#"{{"sentinel_recording":1,"host":"bench","started":"2026-11-22T08:00:00Z"}}"#)?;
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 1..=count {
        // xorshift: numbers that look random and are the same in every run.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        writeln!(out, "{}", event(number, random))?;
    }
    Ok(())
}

fn event(number: u64, random: u64) -> String {
    let program = PROGRAMS[(random >> 8) as usize % PROGRAMS.len()];
    let (object, action) = match random % 100 {
        0..=84 => (open(random >> 16), "open"),
        85..=89 => (exec(random >> 16), "exec"),
        90..=97 => (network(random >> 16), "connect"),
        _ => (network(random >> 16), "send"),
    };
    let (seconds, micros) = (number / 1000, number % 1000 * 1000);
    let (hour, minute, second) = (8 + seconds / 3600, seconds / 60 % 60, seconds % 60);
    let (pid, uid) = (1000 + (random >> 20) % 5000, [0, 33, 1000][(random >> 12) as usize % 3]);
    format!(
        concat!(
            r#"{{"@timestamp":"2026-11-22T{:02}:{:02}:{:02}.{:06}Z","event":{{"action":"{}"}},"#,
            r#""host":{{"hostname":"bench","name":"bench","architecture":"x86_64","os":{{"type":"linux","kernel":"6.12.0"}}}},"#,
            r#""process":{{"pid":{},"start":"2026-11-22T07:59:00.000001Z","user":{{"id":"{}"}},"group":{{"id":"0"}},"#,
            r#""thread":{{"id":{},"name":"{}"}},"parent":{{"pid":900,"executable":"/usr/bin/bash","name":"bash"}},"#,
            r#""ancestors":[{{"pid":900,"executable":"/usr/bin/bash","name":"bash"}},{{"pid":1,"executable":"/sbin/init","name":"init"}}],"#,
            r#""executable":"/usr/bin/{}","name":"{}","args":["{}","-O2","-c","x.c"],"args_count":4,"args_truncated":false}},"#,
            r#""user":{{"id":"{}"}},{},"sentinel":{{"sequence":{},"hook":"file_open","blocked":false,"would_block":false}}}}"#
        ),
        hour, minute, second, micros, action, pid, uid, pid, program, program, program, program, uid, object, number
    )
}

fn file(path: &str, inode: u64, write: bool) -> String {
    let (directory, name) = path.rsplit_once('/').unwrap_or_default();
    format!(
        r#""file":{{"path":"{path}","name":"{name}","directory":"{directory}","inode":"{inode}","device":"8:1","write":{write},"create":false}}"#
    )
}

fn open(random: u64) -> String {
    match random % 2000 {
        0 => file("/etc/shadow", 817, false),
        1 => file("/etc/ld.so.preload", 818, true),
        number if number < 1200 => file(&format!("/usr/include/lab/header{}.h", number % 300), 10_000 + number, false),
        number => file(&format!("/build/out/object{number}.o"), 20_000 + number, number % 3 == 0),
    }
}

fn exec(random: u64) -> String {
    match random % 200 {
        0 => file("/tmp/dropped", 99, false),
        number => file(&format!("/usr/bin/tool{}", number % 40), 30_000 + number, false),
    }
}

fn network(random: u64) -> String {
    let host = random % 254 + 1;
    let ip = match random % 5 {
        0 => format!("203.0.113.{host}"),
        1 => format!("198.51.100.{host}"),
        _ => format!("198.18.{}.{host}", random % 200),
    };
    let port = [443, 80, 5432, 53][(random >> 9) as usize % 4];
    format!(r#""destination":{{"ip":"{ip}","port":{port}}},"network":{{"type":"ipv4","transport":"tcp"}}"#)
}
