//! Clients that speak DNS over QUIC and HTTP/3.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use hyper::{Request, Response};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, Endpoint};

use crate::stream::framed;
use crate::tls::NAME;

/// An endpoint of one client's address.
///
/// # Errors
/// When the address cannot be had.
pub fn endpoint(from: IpAddr) -> anyhow::Result<Endpoint> {
    Ok(Endpoint::client((from, 0).into())?)
}

/// Connects and shakes hands.
///
/// # Errors
/// Without a connection.
pub async fn connect(
    endpoint: &Endpoint,
    server: SocketAddr,
    client: rustls::ClientConfig,
) -> anyhow::Result<Connection> {
    let client = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(client)?));
    Ok(endpoint.connect_with(client, server, NAME)?.await?)
}

/// Sends octets as one stream of DNS over QUIC, and returns all that comes back.
///
/// # Errors
/// Without an end of the reply.
pub async fn exchange_octets(connection: &Connection, octets: &[u8]) -> anyhow::Result<Vec<u8>> {
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_all(octets).await?;
    send.finish()?;
    Ok(receive.read_to_end(2 + 65535).await?)
}

/// Asks over a connection; the query's ID becomes 0 (RFC 9250 §4.2.1).
///
/// # Errors
/// Without one reply behind its length.
pub async fn exchange(connection: &Connection, query: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut query = query.to_vec();
    query[..2].fill(0);
    let framed_reply = exchange_octets(connection, &framed(&query)).await?;
    let (length, reply) = framed_reply.split_first_chunk::<2>().ok_or_else(|| anyhow::anyhow!("no reply"))?;
    anyhow::ensure!(usize::from(u16::from_be_bytes(*length)) == reply.len(), "one reply behind its length");
    Ok(reply.to_vec())
}

/// One request by HTTP/3 over a new connection.
///
/// # Errors
/// Without a response.
pub async fn https3(
    from: IpAddr,
    server: SocketAddr,
    client: rustls::ClientConfig,
    request: Request<()>,
    body: Bytes,
) -> anyhow::Result<Response<Bytes>> {
    let endpoint = endpoint(from)?;
    let connection = connect(&endpoint, server, client).await?;
    let (mut driver, mut sender) = h3::client::new(h3_quinn::Connection::new(connection)).await?;
    let driven = tokio::spawn(async move { driver.wait_idle().await });
    let mut stream = sender.send_request(request).await?;
    // The server may have answered before all is sent.
    let _refused = stream.send_data(body).await;
    let _refused = stream.finish().await;
    let (head, ()) = stream.recv_response().await?.into_parts();
    let mut body = Vec::new();
    while let Some(mut data) = stream.recv_data().await? {
        body.extend_from_slice(&data.copy_to_bytes(data.remaining()));
    }
    drop(sender);
    let _closed = driven.await;
    Ok(Response::from_parts(head, body.into()))
}
