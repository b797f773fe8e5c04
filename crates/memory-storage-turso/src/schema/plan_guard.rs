//! No statement may start reading whole tables because somebody changed a word of it or an index.

use std::sync::Arc;

use memory_core::learning::{Evidence, Lesson, LessonKind};
use memory_core::record::RecordKind;
use memory_core::store::*;
use memory_core::{Condition, Episode, EpisodeId, Timestamp, WriteId};

use crate::batch::{Access, Batch, Statement, Value};
use crate::config::TursoConfig;
use crate::payload::Payloads;
use crate::read::{activity, changes, counts, episodes, lessons, list, scan, search};
use crate::transport::{LocalTransport, Transport};
use crate::verify::quick::is_full_scan;

async fn transport(directory: &tempfile::TempDir) -> Transport {
    let config = TursoConfig::at(directory.path().join("memory.db"));
    let transport = Transport::Local(LocalTransport::open(config, Arc::default()).unwrap());
    super::bring_up(&transport, super::MIGRATIONS, "test", super::Upgrade::Auto).await.unwrap();
    transport
}

/// With a few hundred episodes, and what the engine counted of them.
async fn with_statistics(directory: &tempfile::TempDir) -> Transport {
    let transport = transport(directory).await;
    let mut statements = Vec::new();
    for n in 0..300 {
        let mut episode = memory_testkit::generate::episode(1, n, 500);
        episode.project = format!("p{}", n % 3);
        episode.metadata.insert("a".into(), i64::try_from(n % 7).unwrap().into());
        let write_id = WriteId::generate(Timestamp(1));
        let save = Save { episode: episode.into(), base: 0, write_id, lessons: vec![] };
        statements.extend(
            crate::write::plan(&Write::Save(save), &Payloads::default()).unwrap().statements,
        );
    }
    statements.push(Statement::new("ANALYZE", vec![]));
    transport.run(Batch { access: Access::Write, statements }).await.unwrap();
    transport
}

/// The steps of a statement's plan.
async fn plan(transport: &Transport, statement: &Statement) -> Vec<String> {
    let sql = format!("EXPLAIN QUERY PLAN {}", statement.sql);
    let explain = Statement { sql: sql.into(), params: statement.params.clone() };
    let batch = Batch { access: Access::Read, statements: vec![explain] };
    let rows = transport.run(batch).await.unwrap().remove(0).rows;
    rows.into_iter()
        .map(|row| match row.last() {
            Some(Value::Text(step)) => step.clone(),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn full_scans(plan: &[String]) -> Vec<&String> {
    plan.iter().filter(|step| is_full_scan(step)).collect()
}

fn writes() -> Vec<Write> {
    let (at, project) = (Timestamp(1), "p".to_owned());
    let id = EpisodeId::generate(at);
    let mut episode = Episode::start(id, "p", "task", at);
    episode.version = 3;
    episode.metadata.insert("k".into(), 1.into());
    let lesson = Lesson::new("p", LessonKind::Heuristic, "", "c", "a");
    let evidence = Evidence { episode: id, success: true, at };
    let write_id = WriteId::generate(at);
    let scope = Scope::Project(project.clone());
    let relation = |relation| {
        Write::Relate(Relation {
            project: "p".into(),
            from: id,
            relation,
            to: EpisodeId::generate(at),
            at,
        })
    };
    vec![
        Write::Save(Save {
            episode: episode.into(),
            base: 2,
            write_id,
            lessons: vec![(lesson.clone(), evidence.clone())],
        }),
        Write::AppendSteps(AppendSteps {
            id,
            scope: scope.clone(),
            steps: vec![memory_core::Step { action: "x".into(), ..Default::default() }],
            first: Some(1),
            write_id,
            recalled: vec![lesson.id],
        }),
        Write::Forget(Forget { id, scope, at }),
        Write::Feedback(Feedback {
            subject: lesson.id,
            by: id,
            project: project.clone(),
            verdict: FeedbackVerdict::Helped,
            at,
        }),
        relation(RelationKind::Parent),
        relation(RelationKind::DependsOn),
        relation(RelationKind::Related),
        Write::PutLesson(LessonRecord { lesson, evidence: vec![evidence] }),
        Write::PutTombstone(Tombstone { id, project, version: 1, at }),
    ]
}

#[tokio::test]
async fn no_write_scans_a_table() {
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    no_write_scans(&transport(&directories[0]).await).await;
    no_write_scans(&with_statistics(&directories[1]).await).await;
}

async fn no_write_scans(transport: &Transport) {
    let mut seen = 0;
    for write in writes() {
        for statement in crate::write::plan(&write, &Payloads::default()).unwrap().statements {
            let plan = plan(transport, &statement).await;
            assert!(full_scans(&plan).is_empty(), "{}\n{plan:#?}", statement.sql);
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} statements were looked at");
}

fn filter() -> Filter {
    Filter {
        task_type: Some("bugfix".into()),
        domain: Some("web".into()),
        states: vec!["success".into()],
        min_reward: Some(0.5),
        ..Filter::default()
    }
}

/// Conditions of every shape that a statement depends on.
const CONDITIONS: &[&str] = &[
    "a = 1",
    "a = x",
    "a = true",
    "a != 1",
    "a < 1 AND b <= x",
    "a > 1 AND b >= x AND NOT c > 1",
    "a STARTS WITH x",
    "a EXISTS",
    "NOT a = 1",
    "a = 1 OR b = 2",
    "a = 1 AND b > 2",
    "a = 1 OR NOT b = 2",
    "(a = 1 OR b > 2 AND c = 3) AND NOT (d = 4 OR e EXISTS)",
];

/// Without and with each column, and with each shape of condition alone and with columns.
fn filters() -> Vec<Filter> {
    let any = Filter::default;
    let mut filters = vec![
        any(),
        filter(),
        Filter { language: Some("rust".into()), ..any() },
        Filter { since: Some(Timestamp(1)), until: Some(Timestamp(9)), ..any() },
        Filter { include_archived: true, ..any() },
    ];
    for condition in CONDITIONS {
        let metadata = Some(condition.parse::<Condition>().unwrap());
        filters.push(Filter { metadata: metadata.clone(), ..any() });
        filters.push(Filter { metadata, since: Some(Timestamp(1)), ..filter() });
    }
    filters
}

#[tokio::test]
async fn reads_find_their_rows_by_index() {
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    reads_find_their_rows(&transport(&directories[0]).await).await;
    reads_find_their_rows(&with_statistics(&directories[1]).await).await;
}

async fn reads_find_their_rows(transport: &Transport) {
    let project = Scope::Project("p".into());
    let ids = [EpisodeId::generate(Timestamp(1)), EpisodeId::generate(Timestamp(1))];
    let after = Some("0000000000000000.00000000000000000000000000000000".to_owned());
    let lessons_of =
        |episodes| LessonQuery { scope: project.clone(), episodes, kinds: vec![], limit: 9 };
    let watermark = Watermark { database: [0; 16], seq: 5, write_id: None };
    let mut reads = vec![
        episodes::get(&project, &ids[..1]),
        episodes::get(&Scope::All, &ids),
        crate::read::said::said(&ids),
        lessons::lessons(&lessons_of(ids.to_vec())),
        lessons::lessons(&lessons_of(vec![])),
        crate::read::relations::relations(&project, ids[0]),
    ];
    reads.extend(changes::changes(Some(&watermark)).statements);
    reads.extend(crate::vectors::reads_of_a_process());
    for filter in filters() {
        let search = SearchQuery {
            scope: project.clone(),
            terms: vec!["a".into()],
            synonyms: Vec::new(),
            filter: filter.clone(),
            limit: 5,
        };
        reads.extend(search::search(&search, 5).unwrap().statements);
        let list = ListQuery { scope: project.clone(), filter, after: after.clone(), limit: 20 };
        reads.push(list::list(&list).unwrap());
    }
    for statement in reads {
        let plan = plan(transport, &statement).await;
        assert!(full_scans(&plan).is_empty(), "{}\n{plan:#?}", statement.sql);
    }
}

/// Counting reads an index, never the payloads.
#[tokio::test]
async fn counting_touches_no_wide_row() {
    let directory = tempfile::tempdir().unwrap();
    let transport = transport(&directory).await;
    for statement in [counts::counts(&Scope::All), activity::task_types(&Scope::All)] {
        let plan = plan(&transport, &statement).await;
        let by_index = plan.iter().any(|s| s.starts_with("SCAN episodes USING COVERING INDEX"));
        assert!(by_index, "{plan:#?}");
    }
}

/// What happened lately costs what there is of it, and a project's name one look-up.
#[tokio::test]
async fn activity_is_read_from_the_index_of_each_project() {
    let directory = tempfile::tempdir().unwrap();
    let transport = transport(&directory).await;
    for scope in [Scope::Project("p".into()), Scope::All] {
        let query = ActivityQuery { scope, since: Timestamp(1), period_us: 9 };
        for statement in activity::activity(&query).statements {
            let plan = plan(&transport, &statement).await;
            let scans: Vec<_> = full_scans(&plan);
            assert!(scans.iter().all(|s| s.starts_with("SCAN projects")), "{plan:#?}");
            let covered = |s: &&String| !s.contains(" e ") && !s.contains("episodes");
            let wide = plan.iter().filter(|s| !covered(s) && !s.contains("COVERING INDEX"));
            assert_eq!(wide.count(), 0, "{plan:#?}");
        }
    }
}

/// A page costs what it holds: it is read in the order of the index, and left when it is full.
#[tokio::test]
async fn pages_are_read_in_order_without_sorting() {
    let directory = tempfile::tempdir().unwrap();
    let transport = transport(&directory).await;
    for scope in [Scope::Project("p".into()), Scope::All] {
        let list = ListQuery { scope: scope.clone(), filter: filter(), after: None, limit: 20 };
        let plan = plan(&transport, &list::list(&list).unwrap()).await;
        let index = match scope {
            Scope::All => "episodes_by_start_of_all",
            Scope::Project(_) => "episodes_by_start",
        };
        let candidates: Vec<_> = plan
            .iter()
            .take_while(|step| !step.contains("candidates") || step.contains("MATERIALIZE"))
            .collect();
        assert!(candidates.iter().any(|step| step.contains(index)), "{plan:#?}");
        assert!(candidates.iter().all(|step| !step.contains("ORDER BY")), "{plan:#?}");
    }
    for kind in RecordKind::ALL {
        for after in [None, Some("00")] {
            let scan_of =
                |after| ScanQuery { scope: Scope::Project("p".into()), kind, after, limit: 9 };
            let parts = match kind {
                RecordKind::Feedback => 2,
                RecordKind::Relation => 3,
                _ => 1,
            };
            let after = after.map(|part| vec![part; parts].join("."));
            let plan = plan(&transport, &scan::scan(&scan_of(after)).unwrap()).await;
            let sorts = plan.iter().filter(|step| step.contains("FOR ORDER BY")).count();
            // The window over the page sorts the page; nothing sorts the table.
            let allowed = usize::from(kind == RecordKind::Episode);
            assert!(sorts <= allowed, "{kind:?} {plan:#?}");
        }
    }
}

async fn plan_of(condition: &str, scope: Scope) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let transport = transport(&directory).await;
    let filter = Filter { metadata: Some(condition.parse().unwrap()), ..Filter::default() };
    let list = ListQuery { scope, filter, after: None, limit: 20 };
    plan(&transport, &list::list(&list).unwrap()).await
}

fn count(plan: &[String], part: &str) -> usize {
    plan.iter().filter(|step| step.contains(part)).count()
}

/// The newest episodes of a project with a value are read in order, whatever there are of them: what
/// is sorted is only what began at the same moment.
#[tokio::test]
async fn the_newest_with_a_value_are_read_in_order() {
    let plan = plan_of("repo = api", Scope::Project("p".into())).await;
    let by_value = "SEARCH m USING COVERING INDEX episode_metadata_by_value \
                    (key=? AND value=? AND project=?)";
    assert_eq!(count(&plan, by_value), 1, "{plan:#?}");
    assert_eq!(count(&plan, "USE TEMP B-TREE FOR LAST TERM OF ORDER BY"), 1, "{plan:#?}");
    assert_eq!(count(&plan, "USE TEMP B-TREE FOR ORDER BY"), 1, "that of the page: {plan:#?}");
}

/// A range of few values is read value beside value, in order: only what began at the same moment is
/// sorted. Each value is found by where the one before it ends.
#[tokio::test]
async fn the_newest_of_few_values_are_merged_in_order() {
    let by_value = "SEARCH m USING COVERING INDEX episode_metadata_by_value \
                    (key=? AND value=? AND project=?)";
    for condition in
        ["repo STARTS WITH api", "n > 4 AND n <= 9 AND NOT green = true", "repo EXISTS"]
    {
        let plan = plan_of(condition, Scope::Project("p".into())).await;
        assert_eq!(count(&plan, by_value), 16, "{plan:#?}");
        assert_eq!(count(&plan, "MERGE (UNION ALL)"), 15, "{plan:#?}");
        assert_eq!(count(&plan, "USE TEMP B-TREE FOR LAST TERM OF ORDER BY"), 16, "{plan:#?}");
    }
    let one_value = plan_of("n > 4 AND green = true", Scope::Project("p".into())).await;
    assert_eq!(count(&one_value, "MERGE"), 0, "the order of that value is better: {one_value:#?}");
}

/// Every kind of comparison is one range of the index.
#[tokio::test]
async fn comparisons_are_ranges_of_the_index() {
    for (condition, range) in [
        ("a = 1", "(key=? AND value=?)"),
        ("a > 1", "(key=? AND value>? AND value<?)"),
        ("a < 1", "(key=? AND value<?)"),
        ("a <= x", "(key=? AND value>? AND value<?)"),
        ("a STARTS WITH x", "(key=? AND value>? AND value<?)"),
        ("a EXISTS", "(key=?)"),
    ] {
        let plan = plan_of(condition, Scope::All).await;
        // Once to count its rows, once to read them.
        let by_value = format!("USING COVERING INDEX episode_metadata_by_value {range}");
        assert_eq!(count(&plan, &by_value), 2, "{condition}: {plan:#?}");
        // And tested one by one in the order of time, if they are many.
        assert_eq!(
            count(&plan, "SEARCH m USING PRIMARY KEY (episode=? AND key=?)"),
            1,
            "{plan:#?}"
        );
        assert_eq!(count(&plan, "episodes_by_start_of_all"), 1, "{plan:#?}");
    }
}
