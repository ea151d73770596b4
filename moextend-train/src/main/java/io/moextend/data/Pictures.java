package io.moextend.data;

import io.moextend.data.image.ClipPreprocessing;
import io.moextend.data.image.ImageDecoder;
import io.moextend.data.image.ImageException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * From a dataset's image paths to what a tower reads. Any number of threads may read.
 *
 * @param root folder the paths start from and may not leave
 */
public record Pictures(ImageRoot root, ImageDecoder decoder, ClipPreprocessing preprocessing) {
  /**
   * @param path as the sample writes it
   * @throws DataException if the image cannot be read; names the sample
   */
  Picture read(Sample sample, String path) {
    Path image = SampleFile.resolve(root, sample, path);
    try {
      byte[] bytes = ImageDecoder.bytes(image);
      float[] pixels = preprocessing.pixels(decoder.decode(bytes, image.toString()));
      return new Picture(image, sha256(bytes), pixels);
    } catch (ImageException e) {
      throw DataException.at(sample.where(), String.valueOf(e.getMessage()), e);
    }
  }

  private static String sha256(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }
}
