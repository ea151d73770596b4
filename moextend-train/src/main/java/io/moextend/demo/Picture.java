package io.moextend.demo;

import java.nio.file.Path;

/**
 * A picture of the data set.
 *
 * @param file relative to the folder of the data, e.g. "images/train-0012.png"
 * @param noiseSeed what decides its jitter and noise
 */
public record Picture(String file, Scene scene, long noiseSeed) {
  /** Where it lies. */
  Path in(Path root) {
    return root.resolve(file);
  }
}
