package io.moextend.data.prompted;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.data.DataException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * A file read at places, by any number of threads.
 *
 * @param name how errors call it
 */
record FileBytes(String name, FileChannel channel) implements AutoCloseable {
  @MustBeClosed
  static FileBytes open(Path file, String name) {
    try {
      return new FileBytes(name, FileChannel.open(file, StandardOpenOption.READ));
    } catch (IOException e) {
      throw new DataException(
          "%s cannot be opened (%s); name a file of examples".formatted(name, e.getMessage()), e);
    }
  }

  long size() {
    try {
      return channel.size();
    } catch (IOException e) {
      throw unreadable(e);
    }
  }

  /**
   * Fills the buffer from its position on, and flips it; what lies behind the file's end is left
   * out.
   */
  void read(long from, ByteBuffer into) {
    try {
      while (into.hasRemaining() && channel.read(into, from + into.position()) >= 0) {}
      into.flip();
    } catch (IOException e) {
      throw unreadable(e);
    }
  }

  private DataException unreadable(IOException e) {
    return new DataException("%s cannot be read: %s".formatted(name, e.getMessage()), e);
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw new DataException("%s cannot be closed: %s".formatted(name, e.getMessage()), e);
    }
  }
}
