//! Load: HTTP/1.1 requests over kept connections, as fast as they are answered or at a rate.

mod connection;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub(crate) use connection::{Connection, LoadError};

use crate::clock;
use crate::row::Until;
use crate::supply::Load;

/// Sends a load over all connections, each request as soon as the one before it on its
/// connection is answered. The first answer other than 200 ends it.
pub(crate) fn saturate(
    connections: &mut [Connection],
    load: Load<'_>,
) -> Result<Duration, LoadError> {
    let (requests, count) = (load.requests, load.count as usize);
    let next = AtomicUsize::new(0);
    let started = clock::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = connections
            .iter_mut()
            .map(|connection| {
                let next = &next;
                scope.spawn(move || {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            return Ok(());
                        }
                        let answered = requests
                            .get(number % requests.len().max(1))
                            .map_or(Ok(()), |request| {
                                connection.exchange(request).map(|_first_byte| ())
                            });
                        if answered.is_err() {
                            next.store(count, Ordering::Relaxed);
                            return answered;
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().map_err(|_| LoadError::Thread)??;
        }
        Ok(started.elapsed())
    })
}

/// Sends a load at `rate` requests per second, whether or not earlier ones are answered.
/// Each latency counts from the moment at which its request was due, so that a gateway that
/// stalls cannot hide it by delaying the requests that follow. Unordered.
///
/// A latency ends with the answer, or with its first byte.
pub(crate) fn pace(
    connections: &mut [Connection],
    load: Load<'_>,
    rate: u32,
    until: Until,
) -> Result<Vec<Duration>, LoadError> {
    let (requests, count) = (load.requests, load.count as usize);
    let lanes = connections.len().max(1);
    let interval = Duration::from_secs(1) / rate.max(1);
    // Leaves the threads time to start.
    let first = clock::now() + Duration::from_millis(50);
    std::thread::scope(|scope| {
        let threads: Vec<_> = connections
            .iter_mut()
            .enumerate()
            .map(|(lane, connection)| {
                scope.spawn(move || {
                    let numbers = (lane..count).step_by(lanes);
                    numbers
                        .map(|number| {
                            let due = first + interval * u32::try_from(number).unwrap_or(u32::MAX);
                            timed(connection, requests, number, due, until)
                        })
                        .collect::<Result<Vec<Duration>, LoadError>>()
                })
            })
            .collect();
        let mut latencies = Vec::with_capacity(count);
        for thread in threads {
            latencies.extend(thread.join().map_err(|_| LoadError::Thread)??);
        }
        Ok(latencies)
    })
}

fn timed(
    connection: &mut Connection,
    requests: &[Vec<u8>],
    number: usize,
    due: Instant,
    until: Until,
) -> Result<Duration, LoadError> {
    clock::sleep_until(due);
    let mut ended = clock::now();
    if let Some(request) = requests.get(number % requests.len().max(1)) {
        let first_byte = connection.exchange(request)?;
        ended = match until {
            Until::FirstByte => first_byte,
            Until::End => clock::now(),
        };
    }
    Ok(ended.saturating_duration_since(due))
}

/// Opens connections.
pub(crate) fn connect(to: SocketAddr, count: usize) -> Result<Vec<Connection>, LoadError> {
    (0..count).map(|_| Connection::open(to)).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// A server that answers every request (all of one size) after a delay.
    fn server(request_bytes: usize, answer: &'static str, delay: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let mut request = vec![0; request_bytes];
                    while stream.read_exact(&mut request).is_ok() {
                        std::thread::sleep(delay);
                        stream.write_all(answer.as_bytes()).unwrap();
                    }
                });
            }
        });
        address
    }

    fn requests(count: u32, requests: &[Vec<u8>]) -> Load<'_> {
        Load { requests, count }
    }

    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

    #[test]
    fn every_request_is_answered_once() {
        let sent = vec![b"12345678".to_vec()];
        let to = server(8, OK, Duration::ZERO);
        let mut connections = connect(to, 3).unwrap();
        saturate(&mut connections, requests(50, &sent)).unwrap();
        let latencies = pace(&mut connections, requests(20, &sent), 1000, Until::End).unwrap();
        assert_eq!(latencies.len(), 20);
    }

    #[test]
    fn an_answer_in_chunks_is_read_to_its_end() {
        let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n";
        let to = server(8, answer, Duration::ZERO);
        let mut connections = connect(to, 2).unwrap();
        saturate(&mut connections, requests(50, &[b"12345678".to_vec()])).unwrap();
    }

    #[test]
    fn any_other_status_is_an_error_with_its_body() {
        let to = server(
            8,
            "HTTP/1.1 403 No\r\ncontent-length: 4\r\n\r\nstop",
            Duration::ZERO,
        );
        let mut connections = connect(to, 2).unwrap();
        let error = saturate(&mut connections, requests(50, &[b"12345678".to_vec()])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("403") && text.contains("stop"), "{text}");
    }

    #[test]
    fn the_first_byte_of_a_body_comes_before_its_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 8];
            while stream.read_exact(&mut request).is_ok() {
                for piece in ["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", "h", "i"] {
                    std::thread::sleep(Duration::from_millis(20));
                    stream.write_all(piece.as_bytes()).unwrap();
                }
            }
        });
        let mut connections = connect(to, 1).unwrap();
        let sent = [b"12345678".to_vec()];
        let mut latency = |until| pace(&mut connections, requests(1, &sent), 1, until).unwrap()[0];
        let (first, last) = (latency(Until::FirstByte), latency(Until::End));
        assert!(first >= Duration::from_millis(40), "{first:?}");
        assert!(last >= Duration::from_millis(60), "{last:?}");
        assert!(first < last, "{first:?} {last:?}");
    }

    #[test]
    fn a_late_answer_makes_the_requests_behind_it_late_too() {
        let delay = Duration::from_millis(20);
        let to = server(8, OK, delay);
        let mut connections = connect(to, 1).unwrap();
        let sent = [b"12345678".to_vec()];
        let latencies = pace(&mut connections, requests(5, &sent), 1000, Until::End).unwrap();
        let worst = latencies.iter().max().unwrap();
        assert!(*worst >= Duration::from_millis(5 * 20 - 4), "{worst:?}");
    }
}
