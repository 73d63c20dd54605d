//! Kill -9 of a process that does jobs: what one publishes is there as a whole or not at all, though no
//! transaction holds it together.

use std::process::Command;

use store::mongo::MongoStore;
use testing::kill;

use crate::server::options;

#[path = "../killed/job_check.rs"]
mod job_check;
#[path = "../killed/job_content.rs"]
mod job_content;

#[test]
fn every_job_is_done_once_with_all_that_it_publishes_after_kill_9() {
    let options = options();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let acknowledged = kill::rounds(
        4,
        0x10B5,
        |first| {
            let mut writer = Command::new(env!("CARGO_BIN_EXE_killed-writer"));
            let database = options.database.as_str();
            writer
                .arg("mongo-jobs")
                .arg(database)
                .arg(first.to_string());
            writer
        },
        |round, acknowledged| {
            runtime.block_on(async {
                let store = MongoStore::connect(options.clone()).await.unwrap();
                job_check::check(&store, acknowledged, round).await;
            });
        },
    );
    assert!(acknowledged.len() > 4 * 5);
}
