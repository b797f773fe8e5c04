//! Each row with its settings, claim and guards.

use crate::bench::row::{Decides, Needs, Row, Shows, Target};

use super::{cache, local, payload, process, remote};

/// What most rows have in common.
const PLAIN: Row = Row {
    id: "",
    name: "",
    claim: "",
    targets: &[],
    decides: Decides::Time,
    shows: Shows::Nothing,
    both: &[],
    on: &[],
    off: &[],
    instead: "",
    needs: Needs::Nothing,
    guards: &[],
    measure: |bench, row| Box::pin(local::statements(bench, row)),
};

/// No cache in front: what is behind it is measured.
const UNCACHED: &[&str] = &["cache.memory_bytes=0"];

/// All rows, in the plan's order.
pub(crate) static ROWS: [Row; 20] = [
    Row {
        id: "1.1",
        name: "Keep-alive connection pool",
        claim: "connection 45 -> 5 ms (-89%)",
        targets: &[Target::Cut("connections per 100 reads", 0.89)],
        both: UNCACHED,
        off: &["remote.idle_timeout_ms=0", "remote.warm_connections=0"],
        needs: Needs::Server,
        shows: Shows::Fewer("connections per 100 reads", 10.0),
        guards: &[
            "a_thousand_operations_open_no_connection",
            "connections_cut_while_idle_and_restarts_are_invisible",
        ],
        measure: |bench, row| Box::pin(remote::keep_alive(bench, row)),
        ..PLAIN
    },
    Row {
        id: "1.2",
        name: "Adaptive pool sizing",
        claim: "15-25% under variable load",
        targets: &[Target::Times(1.15)],
        both: UNCACHED,
        off: &["remote.min_concurrency=10", "remote.max_concurrency=10"],
        needs: Needs::Server,
        shows: Shows::More("limit after the burst", 1.5),
        guards: &["finds_what_the_server_can_do_and_returns_to_the_minimum_when_idle"],
        measure: |bench, row| Box::pin(remote::adaptive(bench, row)),
        ..PLAIN
    },
    Row {
        id: "1.3",
        name: "Connection pre-warming",
        claim: "first request -40 ms",
        targets: &[Target::Less("first requests, ms", 40.0)],
        both: UNCACHED,
        off: &["remote.warm_connections=0"],
        needs: Needs::Server,
        shows: Shows::Fewer("connections it opens", 2.0),
        guards: &["connections_are_open_before_the_first_call"],
        measure: |bench, row| Box::pin(remote::warm(bench, row)),
        ..PLAIN
    },
    Row {
        id: "2.1",
        name: "Prepared statement caching",
        claim: "30-40% less parsing",
        targets: &[Target::Cut("statements prepared per 1,000 reads", 0.30)],
        both: UNCACHED,
        off: &["database.statement_cache=0"],
        shows: Shows::Fewer("statements prepared per 1,000 reads", 10.0),
        guards: &[
            "a_statement_is_prepared_once_per_connection",
            "a_cache_of_none_prepares_every_time_and_works_the_same",
        ],
        ..PLAIN
    },
    Row {
        id: "2.2",
        name: "Indexed metadata queries",
        claim: "60-80% faster",
        targets: &[Target::Times(2.5)],
        both: UNCACHED,
        instead: "the plan's first query, LIKE on a column of JSON",
        shows: Shows::Fewer("full scans in the query plan", 10.0),
        guards: &["reads_find_their_rows_by_index", "comparisons_are_ranges_of_the_index"],
        measure: |bench, row| Box::pin(local::metadata(bench, row)),
        ..PLAIN
    },
    Row {
        id: "2.3",
        name: "Query plan and result caching",
        claim: "20-30% for repeated queries",
        targets: &[Target::Times(1.25)],
        off: &["cache.query_results=false"],
        shows: Shows::Fewer("database queries per repeat", 5.0),
        guards: &["repeated_queries_cost_nothing_until_something_changes"],
        measure: |bench, row| Box::pin(cache::query_results(bench, row)),
        ..PLAIN
    },
    Row {
        id: "3.1",
        name: "MessagePack payloads",
        claim: "40-50% less time, 30-40% smaller",
        targets: &[Target::Times(1.67), Target::Cut("bytes an episode", 0.30)],
        both: &["payload.compression=none"],
        off: &["payload.codec=json"],
        shows: Shows::Fewer("bytes an episode", 1.05),
        guards: &["any_episode_comes_back_from_any_codec_and_compression"],
        measure: |bench, row| Box::pin(payload::codec(bench, row)),
        ..PLAIN
    },
    Row {
        id: "3.2",
        name: "Compression of payloads",
        claim: "50-70% smaller over 10 KB",
        targets: &[Target::Cut("bytes an episode over 10 KB", 0.50)],
        decides: Decides::Figure("bytes an episode"),
        off: &["payload.compression=none"],
        shows: Shows::Fewer("bytes an episode", 2.0),
        guards: &["small_episodes_shrink_with_a_dictionary_of_others"],
        measure: |bench, row| Box::pin(payload::compression(bench, row)),
        ..PLAIN
    },
    Row {
        id: "3.3",
        name: "postcard in the cache",
        claim: "already so",
        instead: "JSON; the cache file has one format",
        shows: Shows::Fewer("bytes an entry", 1.1),
        guards: &["every_flipped_bit_of_a_stored_episode_is_noticed", "flipped_bits"],
        measure: |bench, row| Box::pin(payload::postcard(bench, row)),
        ..PLAIN
    },
    Row {
        id: "4.1",
        name: "Adaptive TTL",
        claim: "hit rate +15-25%",
        targets: &[Target::Points(cache::FEEDLESS, 15.0)],
        decides: Decides::Figure("stale reads, %"),
        off: &["cache.ttl_ms=60000"],
        shows: Shows::Fewer("stale reads, %", 2.0),
        guards: &["no_way_is_over_its_bound_and_the_default_has_most_hits"],
        measure: |bench, row| Box::pin(cache::ttl(bench, row)),
        ..PLAIN
    },
    Row {
        id: "4.2",
        name: "Predictive eviction",
        claim: "20-30% fewer evictions",
        targets: &[Target::Cut("evictions per 1,000 reads", 0.20)],
        decides: Decides::Figure("evictions per 1,000 reads"),
        off: &["cache.policy=lru"],
        shows: Shows::Fewer("evictions per 1,000 reads", 1.05),
        guards: &["the_default_is_nowhere_behind_lru_and_well_ahead_where_agents_work"],
        measure: |bench, row| Box::pin(cache::eviction(bench, row)),
        ..PLAIN
    },
    Row {
        id: "4.3",
        name: "Cache warm-up",
        claim: "first requests -30-40% after restart",
        targets: &[Target::Times(1.43)],
        both: &["cache.max_staleness_ms=3600000"],
        on: &["cache.redb=on"],
        off: &["cache.redb=off"],
        shows: Shows::More("hits, %", 1.2),
        guards: &[
            "first_reads_after_a_restart_are_mostly_hits_and_cost_two_round_trips_to_prepare",
        ],
        measure: |bench, row| Box::pin(cache::warm_up(bench, row)),
        ..PLAIN
    },
    Row {
        id: "5.1",
        name: "Request batching",
        claim: "-50-60% round trips, 3-4x throughput",
        targets: &[Target::Cut("round trips for 64 saves", 0.50), Target::Times(3.0)],
        both: UNCACHED,
        off: &["remote.max_group=1", "remote.pipeline=false"],
        needs: Needs::Server,
        shows: Shows::Fewer("round trips for 64 saves", 10.0),
        guards: &[
            "every_operation_is_one_round_trip",
            "sixty_four_concurrent_saves_share_four_requests_at_most",
        ],
        measure: |bench, row| Box::pin(remote::batching(bench, row)),
        ..PLAIN
    },
    Row {
        id: "5.2",
        name: "Network compression",
        claim: "-30-50% bandwidth",
        targets: &[Target::Cut("KB down for 100 episodes", 0.30)],
        both: UNCACHED,
        on: &["remote.compression=true"],
        needs: Needs::Server,
        shows: Shows::Fewer("KB down for 100 episodes", 1.2),
        guards: &["compression_shrinks_answers_when_asked_for"],
        measure: |bench, row| Box::pin(remote::compression(bench, row)),
        ..PLAIN
    },
    Row {
        id: "6.1",
        name: "Parallel batch operations",
        claim: "3-5x throughput",
        targets: &[Target::Times(3.0)],
        // So that nothing but the work is under way at a time.
        both: &["cache.memory_bytes=0", "remote.warm_connections=0"],
        off: &["database.parallel_chunks=1"],
        needs: Needs::Server,
        shows: Shows::More("requests under way at a time, at most", 2.0),
        guards: &["a_thousand_episodes_are_saved_in_two_requests_and_read_in_chunks_side_by_side"],
        measure: |bench, row| Box::pin(remote::parallel(bench, row)),
        ..PLAIN
    },
    Row {
        id: "6.2",
        name: "Transaction grouping",
        claim: "-20-30% overhead",
        targets: &[Target::Cut("commits per 1,000 saves, 64 writers", 0.20), Target::Times(1.25)],
        both: UNCACHED,
        off: &["database.max_group=1"],
        shows: Shows::Fewer("commits per 1,000 saves, 64 writers", 4.0),
        guards: &["concurrent_writers_share_commits"],
        measure: |bench, row| Box::pin(local::grouping(bench, row)),
        ..PLAIN
    },
    Row {
        id: "7.1",
        name: "Buffer reuse",
        claim: "-10-15% allocations",
        instead: "a build with the system's allocator",
        needs: Needs::Build,
        guards: &["saves_and_loads_allocate_no_more_than_they_did"],
        measure: |bench, row| Box::pin(process::allocator(bench, row)),
        ..PLAIN
    },
    Row {
        id: "7.2",
        name: "redb memory use",
        claim: "verify",
        targets: &[Target::AtMost("resident beyond the budget, MiB", 40.0)],
        decides: Decides::Figure("resident, MiB"),
        on: &["cache.memory_bytes=16777216"],
        off: &["cache.memory_bytes=67108864"],
        shows: Shows::Fewer("resident, MiB", 1.05),
        guards: &["the_cache_allocates_what_it_says_it_holds"],
        measure: |bench, row| Box::pin(process::resident(bench, row)),
        ..PLAIN
    },
    Row {
        id: "8.1",
        name: "Cache-first reads",
        claim: "-80-90% database queries, 3-5x",
        targets: &[Target::Cut("database queries per 1,000 reads", 0.80), Target::Times(3.0)],
        off: UNCACHED,
        shows: Shows::Fewer("database queries per 1,000 reads", 3.0),
        guards: &["reads_cost_a_small_part_of_the_requests_and_hits_none"],
        measure: |bench, row| Box::pin(cache::cache_first(bench, row)),
        ..PLAIN
    },
    Row {
        id: "8.2",
        name: "Retry with jitter",
        claim: "-10-15% cascading failures",
        targets: &[Target::Times(1.11)],
        both: &["cache.memory_bytes=0", "remote.warm_connections=0"],
        off: &["remote.retry_jitter=false"],
        needs: Needs::Server,
        guards: &["pauses_double_up_to_the_cap_and_jitter_takes_any_part"],
        measure: |bench, row| Box::pin(remote::jitter(bench, row)),
        ..PLAIN
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::world::configure;

    #[test]
    fn every_row_is_switched_by_settings_that_exist_or_says_what_is_compared() {
        let dir = tempfile::tempdir().unwrap();
        for row in &ROWS {
            let [on, off] = [true, false].map(|on| {
                configure(dir.path(), &row.settings(on))
                    .unwrap_or_else(|e| panic!("row {}: {e}", row.id))
            });
            assert_eq!(on != off, row.instead.is_empty(), "row {}", row.id);
        }
    }

    /// The sources of the whole workspace: a guard that was renamed is no guard.
    #[test]
    fn every_row_names_tests_that_exist() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let mut sources = String::new();
        let mut folders = vec![std::path::PathBuf::from(root)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    sources += &std::fs::read_to_string(path).unwrap();
                }
            }
        }
        // Under an attribute that makes it run, alone.
        let is_test = |name: &str| {
            let Some(at) = sources.find(&format!("fn {name}(")) else { return false };
            let above: Vec<&str> = sources[..at].lines().rev().take(4).collect();
            above.iter().any(|line| line.contains("test")) && !above.concat().contains("#[ignore")
        };
        for row in &ROWS {
            assert!(!row.guards.is_empty(), "row {} has no guard", row.id);
            for guard in row.guards {
                assert!(is_test(guard), "row {}: {guard}", row.id);
            }
        }
        for guard in crate::bench::guards::TESTS {
            assert!(is_test(guard), "{guard}");
        }
    }
}
