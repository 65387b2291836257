//! The expensive requests.

use std::{io::Cursor, time::Duration};

use image::ImageEncoder as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

/// The target of the requests.
pub(super) struct Target {
    pub(super) address: String,
    pub(super) key: String,
    pub(super) folder: String,
}

impl Target {
    /// Opens connections, says the same on each and reads nothing.
    pub(super) async fn connections(&self, count: usize, words: &str) -> Vec<TcpStream> {
        let mut open = Vec::new();
        for _ in 0..count {
            let socket = TcpSocket::new_v4().expect("a socket");
            // Little fits into what the reader's system keeps.
            socket.set_recv_buffer_size(4096).expect("a small buffer");
            let mut stream = socket.connect(self.address.parse().expect("an address")).await.expect("a connection");
            let _ = stream.write_all(words.as_bytes()).await;
            open.push(stream);
        }
        open
    }

    /// Sends some bytes and reads what comes back.
    pub(super) async fn say(&self, words: &str) -> String {
        self.send(words.as_bytes(), &[]).await
    }

    pub(super) async fn post(&self, path: &str, headers: &str, body: &[u8]) -> String {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n{headers}\
             Content-Length: {}\r\n\r\n",
            self.key,
            body.len()
        );
        self.send(head.as_bytes(), body).await
    }

    pub(super) async fn upload(&self, name: &str, picture: &[u8]) -> String {
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
        let body = [head.as_bytes(), picture, b"\r\n--b--\r\n"].concat();
        let path = format!("/api/v1/folders/{}/assets", self.folder);
        self.post(&path, "Content-Type: multipart/form-data; boundary=b\r\n", &body).await
    }

    async fn send(&self, head: &[u8], body: &[u8]) -> String {
        let stream = TcpStream::connect(&self.address).await.expect("a connection");
        let (mut reading, mut writing) = stream.into_split();
        let write = async {
            // Who is refused may find the connection closed.
            let _ = writing.write_all(head).await;
            let _ = writing.write_all(body).await;
        };
        let read = async {
            let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
            while let Ok(count @ 1..) = reading.read(&mut buffer).await {
                read.extend_from_slice(&buffer[..count]);
            }
            String::from_utf8_lossy(&read).into_owned()
        };
        let both = tokio::time::timeout(Duration::from_mins(3), async { tokio::join!(write, read).1 });
        both.await.expect("an answer")
    }
}

/// Reads to the end of a connection.
pub(super) async fn ends(mut connection: TcpStream, at_most: Duration) {
    let mut read = Vec::new();
    let _ = tokio::time::timeout(at_most, connection.read_to_end(&mut read)).await.expect("it was not cut");
}

/// Waits, without reading, until the other end is gone.
pub(super) async fn is_reset(connection: TcpStream, at_most: Duration) {
    let (_reading, mut writing) = connection.into_split();
    tests::until("the connection is cut", at_most, async || writing.write_all(b" ").await.err()).await;
}

/// Pixels that do not compress, in so many bytes.
pub(super) fn picture(bytes: usize) -> Vec<u8> {
    let side = u32::try_from((bytes / 3).isqrt() * 99 / 100).expect("a small side");
    let pixels: Vec<u8> = (0..side * side * 3).map(|_| rand::random()).collect();
    let mut png = Vec::new();
    let encoder = image::codecs::png::PngEncoder::new(&mut png);
    encoder.write_image(&pixels, side, side, image::ExtendedColorType::Rgb8).expect("a picture");
    png
}

/// A JPEG. Decoding a progressive one keeps all its coefficients.
pub(super) fn jpeg(width: u16, height: u16, is_progressive: bool) -> Vec<u8> {
    let mut jpeg = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut jpeg, 80);
    encoder.set_progressive(is_progressive);
    let pixels = vec![120; usize::from(width) * usize::from(height) * 3];
    encoder.encode(&pixels, width, height, jpeg_encoder::ColorType::Rgb).expect("a picture");
    jpeg
}

/// A square PNG of a few KB with so many pixels a side.
pub(super) fn bilevel(side: u32) -> Vec<u8> {
    let mut png = Cursor::new(Vec::new());
    image::GrayImage::new(side, side).write_to(&mut png, image::ImageFormat::Png).expect("a picture");
    png.into_inner()
}
