package io.moextend.data;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;

/**
 * The folder that a dataset's image paths start from and may not leave.
 *
 * @param folder absolute
 * @param followLinks whether symbolic links inside may lead outside
 */
public record ImageRoot(Path folder, boolean followLinks) {
  public ImageRoot {
    folder = folder.toAbsolutePath().normalize();
    if (!Files.isDirectory(folder)) {
      throw new DataException(folder + " is no folder; name the one that holds the images");
    }
  }

  /** Links may not lead outside. */
  public ImageRoot(Path folder) {
    this(folder, false);
  }

  /**
   * @param path as a dataset writes it
   * @throws DataException if it leaves the folder or is no file
   */
  public Path resolve(String path) {
    if (path.startsWith("http://") || path.startsWith("https://")) {
      throw new DataException(
          "the image %s is on a network; fetch it first and name the file".formatted(path));
    }
    Path file;
    try {
      file = folder.resolve(path).normalize();
    } catch (InvalidPathException e) {
      throw new DataException("the image path %s is no path; mend it".formatted(path), e);
    }
    if (!file.startsWith(folder)) {
      throw new DataException(
          "the image path %s leaves the image folder %s; move the file into it"
              .formatted(path, folder));
    }
    if (!Files.isRegularFile(file)) {
      throw new DataException(
          "the image %s is missing below %s; check the image folder".formatted(path, folder));
    }
    if (!followLinks && !real(file).startsWith(real(folder))) {
      throw new DataException(
          "the image path %s is a link that leaves the image folder %s; move the file into it or"
                  .formatted(path, folder)
              + " allow links");
    }
    return file;
  }

  private static Path real(Path path) {
    try {
      return path.toRealPath();
    } catch (IOException e) {
      throw new DataException("%s cannot be read: %s".formatted(path, e.getMessage()), e);
    }
  }
}
