//! Every scenario, one file per subject.

mod bad_input;
mod bench;
mod bench_net;
mod demo;
mod demo_table;
mod egress_bypass;
mod egress_calls;
mod egress_devices;
mod egress_filters;
mod egress_first;
mod egress_lab;
mod egress_replies;
mod egress_rewrite;
mod egress_sockets;
mod egress_storm;
mod enforce_egress;
mod enforce_events;
mod enforce_events_scopes;
mod enforce_lab;
mod enforce_standing;
mod enforce_standing_files;
mod enforce_standing_refused;
mod enforce_standing_reload;
mod events;
mod events_exec;
mod events_files;
mod events_network;
mod events_own;
mod events_reload;
mod existing_connections;
mod files_ground;
mod files_ways;
mod geo_files;
mod hot_reload;
mod jurisdictions;
mod leftovers;
mod names;
mod operator_blocks;
mod persist;
mod replay;
mod selftest;

use crate::harness::scenario::Scenario;

/// All scenarios, in the order they run.
pub fn all() -> Vec<Scenario> {
    let mut all = Vec::new();
    all.extend(selftest::all());
    all.extend(events_exec::all());
    all.extend(events_files::all());
    all.extend(events_network::all());
    all.extend(events_own::all());
    all.extend(events_reload::all());
    all.extend(bad_input::all());
    all.extend(leftovers::all());
    all.extend(persist::all());
    all.extend(names::all());
    all.extend(enforce_events::all());
    all.extend(enforce_events_scopes::all());
    all.extend(enforce_standing::all());
    all.extend(enforce_standing_files::all());
    all.extend(files_ways::all());
    all.extend(enforce_standing_refused::all());
    all.extend(enforce_standing_reload::all());
    all.extend(hot_reload::all());
    all.extend(operator_blocks::all());
    all.extend(enforce_egress::all());
    all.extend(existing_connections::all());
    all.extend(jurisdictions::all());
    all.extend(egress_calls::all());
    all.extend(egress_sockets::all());
    all.extend(egress_rewrite::all());
    all.extend(egress_first::all());
    all.extend(egress_bypass::all());
    all.extend(egress_filters::all());
    all.extend(egress_replies::all());
    all.extend(egress_storm::all());
    all.extend(geo_files::all());
    all.extend(replay::all());
    all.extend(demo::all());
    all.extend(bench::all());
    all.extend(bench_net::all());
    all
}
