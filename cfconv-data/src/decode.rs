//! From the bytes of a file to a square image of the network's size.

use std::fs::File;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use image::codecs::{jpeg::JpegDecoder, png::PngDecoder};
use image::imageops::{self, FilterType};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, RgbImage};

use crate::config::ResizePolicy;
use crate::dataset::CHANNELS;
use crate::error::{DataError, Result};
use crate::skipped::SkipReason;
use crate::source::read_limited;

/// Largest image file that is read.
pub(crate) const MAX_FILE_BYTES: u64 = 256 << 20;
/// Largest number of pixels that is decoded: 64 Mi.
const MAX_PIXELS: u64 = 64 << 20;
/// Largest decoded image, before conversion to three bytes a pixel.
const MAX_DECODED_BYTES: u64 = 512 << 20;
/// Images with more pixels are decoded one at a time, whatever the number of threads, to bound memory.
const LARGE_PIXELS: u64 = 8 << 20;

/// Decodes an image file.
///
/// Grey, palette, 16-bit and CMYK images become 8-bit RGB; transparency is laid over white; the orientation noted by
/// a camera is applied; of an animated PNG the default image is taken.
pub(crate) fn decode(bytes: &[u8]) -> std::result::Result<RgbImage, SkipReason> {
    // Decoders are foreign code fed with arbitrary bytes: their panics are damage, not crashes.
    catch_unwind(AssertUnwindSafe(|| decode_rgb(bytes)))
        .unwrap_or_else(|_| Err(SkipReason::Damaged("the decoder failed".into())))
}

fn decode_rgb(bytes: &[u8]) -> std::result::Result<RgbImage, SkipReason> {
    if bytes.is_empty() {
        return Err(SkipReason::Empty);
    }
    let damaged = |error: image::ImageError| SkipReason::Damaged(error.to_string());
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => {
            let scan = JpegScan::new(bytes);
            if !scan.complete {
                return Err(SkipReason::Truncated);
            }
            let mut decoder = JpegDecoder::new(Cursor::new(bytes)).map_err(damaged)?;
            let orientation = match scan.exif {
                true => decoder.orientation().unwrap_or(Orientation::NoTransforms),
                false => Orientation::NoTransforms,
            };
            decode_limited(decoder, orientation, bytes.len())
        }
        Ok(ImageFormat::Png) => {
            if !bytes.windows(4).rev().any(|window| window == b"IEND") {
                return Err(SkipReason::Truncated);
            }
            let decoder = PngDecoder::new(Cursor::new(bytes)).map_err(damaged)?;
            decode_limited(decoder, Orientation::NoTransforms, bytes.len())
        }
        Ok(format) => Err(SkipReason::UnsupportedFormat { found: format!("{format:?}") }),
        Err(_) => Err(SkipReason::NotAnImage),
    }
}

fn decode_limited(
    decoder: impl ImageDecoder,
    orientation: Orientation,
    file_bytes: usize,
) -> std::result::Result<RgbImage, SkipReason> {
    static ONE_LARGE_IMAGE: Mutex<()> = Mutex::new(());

    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PIXELS || decoder.total_bytes() > MAX_DECODED_BYTES {
        return Err(SkipReason::TooLarge { width, height, bytes: file_bytes as u64 });
    }
    if pixels == 0 {
        return Err(SkipReason::Damaged("no pixels".into()));
    }
    let _guard =
        (pixels > LARGE_PIXELS).then(|| ONE_LARGE_IMAGE.lock().unwrap_or_else(PoisonError::into_inner));
    let mut image =
        DynamicImage::from_decoder(decoder).map_err(|error| SkipReason::Damaged(error.to_string()))?;
    image.apply_orientation(orientation);
    Ok(if image.color().has_alpha() { over_white(&image) } else { image.into_rgb8() })
}

/// colour·alpha + white·(1 − alpha), rounded.
fn over_white(image: &DynamicImage) -> RgbImage {
    let rgba = image.to_rgba8();
    let mut rgb = RgbImage::new(rgba.width(), rgba.height());
    for (target, source) in rgb.pixels_mut().zip(rgba.pixels()) {
        let [red, green, blue, alpha] = source.0.map(u32::from);
        target.0 = [red, green, blue].map(|value| ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8);
    }
    rgb
}

/// Makes an image square under `resize` and scales it with a Lanczos filter; one that has the size already is
/// copied.
///
/// # Shapes
/// `output`: `[3, size, size]`.
pub(crate) fn square_into(image: &RgbImage, size: usize, resize: ResizePolicy, output: &mut [u8]) {
    let (width, height) = image.dimensions();
    let side = size as u32;
    let cropped;
    let square = if resize == ResizePolicy::Crop && width != height {
        let shorter = width.min(height);
        let (left, top) = ((width - shorter) / 2, (height - shorter) / 2);
        cropped = imageops::crop_imm(image, left, top, shorter, shorter).to_image();
        &cropped
    } else {
        image
    };
    if square.dimensions() == (side, side) {
        to_planes(square, output);
    } else {
        to_planes(&imageops::resize(square, side, side, FilterType::Lanczos3), output);
    }
}

fn to_planes(image: &RgbImage, output: &mut [u8]) {
    let plane = output.len() / CHANNELS;
    debug_assert_eq!(image.as_raw().len(), output.len());
    let (red, rest) = output.split_at_mut(plane);
    let (green, blue) = rest.split_at_mut(plane);
    for (((red, green), blue), pixel) in
        red.iter_mut().zip(green).zip(blue).zip(image.as_raw().chunks_exact(CHANNELS))
    {
        (*red, *green, *blue) = (pixel[0], pixel[1], pixel[2]);
    }
}

/// What the markers of a JPEG file say without decoding it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct JpegScan {
    /// There is a segment that may hold camera data.
    exif: bool,
    /// An end-of-image marker follows the start of the first scan. Decoders fill what is missing with grey, so a
    /// truncated file is found here or nowhere.
    complete: bool,
}

impl JpegScan {
    fn new(bytes: &[u8]) -> Self {
        let mut scan = Self { exif: false, complete: false };
        let mut at = 2;
        while let Some(&[prefix, marker]) = bytes.get(at..at + 2) {
            if prefix != 0xff {
                return scan;
            }
            match marker {
                // Padding.
                0xff => at += 1,
                // Markers without a length.
                0x01 | 0xd0..=0xd8 => at += 2,
                0xd9 => return scan,
                0xda => {
                    scan.complete = bytes[at..].windows(2).any(|pair| pair == [0xff, 0xd9]);
                    return scan;
                }
                _ => {
                    let Some(&[high, low]) = bytes.get(at + 2..at + 4) else { return scan };
                    scan.exif |= marker == 0xe1;
                    at += 2 + usize::from(u16::from_be_bytes([high, low]));
                }
            }
        }
        scan
    }
}

/// Loads one image file to the network's size, for prediction: the same pipeline as for data sets.
///
/// # Shapes
/// Returns `[3, size, size]` bytes.
///
/// # Errors
/// [`DataError::MissingPath`] or [`DataError::Io`] if there is no such file, [`DataError::Image`] if its content
/// cannot be used.
pub fn load_image(path: &Path, size: usize, resize: ResizePolicy) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => {
            DataError::MissingPath { path: path.into(), expected: "a JPEG or PNG image" }
        }
        _ => DataError::Io { path: path.into(), source },
    })?;
    if path.is_dir() {
        let found = "a folder".to_string();
        return Err(DataError::UnsupportedFormat {
            path: path.into(),
            found,
            expected: "a JPEG or PNG image",
        });
    }
    if !(1..=crate::MAX_SIZE).contains(&size) {
        return Err(DataError::Config {
            field: "size",
            expected: "1 to 1024 pixels".into(),
            got: size.to_string(),
        });
    }
    let image = read_limited(file, MAX_FILE_BYTES)
        .and_then(|bytes| decode(&bytes))
        .map_err(|reason| DataError::Image { path: path.into(), reason })?;
    let mut output = vec![0; CHANNELS * size * size];
    square_into(&image, size, resize, &mut output);
    Ok(output)
}

/// Writes an image of a data set as a PNG file; [`load_image`] at its size gives the same bytes.
///
/// # Shapes
/// `image`: `[3, size, size]` bytes.
///
/// # Errors
/// [`DataError::LengthMismatch`] for another number of bytes, [`DataError::Write`] if the file cannot be written.
pub fn save_image(path: &Path, image: &[u8], size: usize) -> Result<()> {
    let plane = size * size;
    if image.len() != CHANNELS * plane {
        let (expected, got) = (CHANNELS * plane, image.len());
        return Err(DataError::LengthMismatch { op: "save_image", operand: "image", expected, got });
    }
    let pixel = |x: u32, y: u32| {
        let at = y as usize * size + x as usize;
        image::Rgb(std::array::from_fn(|channel| image[channel * plane + at]))
    };
    RgbImage::from_fn(size as u32, size as u32, pixel)
        .save_with_format(path, ImageFormat::Png)
        .map_err(|error| DataError::Write { path: path.into(), source: std::io::Error::other(error) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn jpeg() -> Vec<u8> {
        let mut bytes = Vec::new();
        let image = RgbImage::from_fn(24, 16, |x, y| image::Rgb([(x * 10) as u8, (y * 15) as u8, 90]));
        image.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Jpeg).unwrap();
        bytes
    }

    #[test]
    fn markers_tell_whether_a_file_is_complete() {
        let bytes = jpeg();
        assert_eq!(JpegScan::new(&bytes), JpegScan { exif: false, complete: true });
        for cut in [2, 20, bytes.len() / 2, bytes.len() - 1] {
            assert!(!JpegScan::new(&bytes[..cut]).complete, "{cut}");
        }
        let trailing = [bytes, vec![0; 100]].concat();
        assert!(JpegScan::new(&trailing).complete, "junk after the end is harmless");
    }

    #[test]
    fn a_written_image_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        let image: Vec<u8> = (0..27).map(|value| 9 * value).collect();
        save_image(&path, &image, 3).unwrap();
        assert_eq!(load_image(&path, 3, ResizePolicy::Crop).unwrap(), image);
        assert!(matches!(save_image(&path, &image, 2), Err(DataError::LengthMismatch { .. })));
        assert!(matches!(save_image(folder.path(), &image, 3), Err(DataError::Write { .. })));
    }

    #[test]
    fn crop_keeps_the_centre_and_squash_keeps_everything() {
        // Columns: red, green, green, blue.
        let image = RgbImage::from_fn(4, 2, |x, _| {
            image::Rgb([[255, 0, 0], [0, 255, 0], [0, 255, 0], [0, 0, 255]][x as usize])
        });
        let mut output = [9; 12];
        square_into(&image, 2, ResizePolicy::Crop, &mut output);
        assert_eq!(output, [0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0]);
        square_into(&image, 2, ResizePolicy::Squash, &mut output);
        assert!(output[0] > 100 && output[1] < 40, "red stays on the left: {output:?}");
        assert!(output[9] > 100 && output[8] < 40, "blue stays on the right: {output:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn damaged_bytes_never_panic(mut at in proptest::collection::vec((0_usize..1000, any::<u8>()), 1..20), png: bool) {
            let mut bytes = jpeg();
            if png {
                bytes.clear();
                RgbImage::new(5, 3).write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
            }
            for (place, value) in at.drain(..) {
                let length = bytes.len();
                bytes[place % length] = value;
            }
            if let Ok(image) = decode(&bytes) {
                square_into(&image, 4, ResizePolicy::Crop, &mut [0; CHANNELS * 16]);
            }
        }

        #[test]
        fn random_bytes_are_no_image(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(decode(&bytes).is_err());
            let _ = JpegScan::new(&bytes);
        }
    }
}
