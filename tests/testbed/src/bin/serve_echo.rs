//! Serves models that answer with their inputs, for the checks of clients: one model for each
//! datatype, and the model `all`. See [`EchoRuntime`].
//!
//! Prints `listening on http://ADDRESS`, and ends with its standard input.

#![forbid(unsafe_code)]

use std::io::{self, Read};

use clarity::{DataType, Server};
use clarity_testbed::{EchoRuntime, Repository, config};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let models = Repository::temporary();
    let names = DataType::ALL.iter().copied().map(EchoRuntime::model);
    for name in names.chain(["all".to_owned()]) {
        models.publish(&name, b"not read");
    }
    let builder = Server::builder(models.root()).config(config());
    let server = builder
        .runtime(EchoRuntime)
        .bind(([127, 0, 0, 1], 0).into())
        .await?;
    server.models().settled().await;
    println!("listening on http://{}", server.local_addr());
    let ended = tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new()));
    ended.await??;
    Ok(())
}
