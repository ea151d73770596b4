package io.moextend.launch;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.stream.Collectors;

/**
 * What one rank says: each whole line to the launcher's own output, with the rank's number before
 * it, and to a file without. Lines never mix.
 */
final class RankLog implements AutoCloseable {
  private static final int LONGEST_LINE = 64 << 10;
  private static final int LINES_KEPT = 12;
  private static final int CHARACTERS_KEPT = 400;

  private final byte[] prefix;
  private final OutputStream file;
  private final ArrayDeque<String> last = new ArrayDeque<>();
  private boolean fileFailed;

  RankLog(int rank, Path path) throws IOException {
    this.prefix = "[rank %d] ".formatted(rank).getBytes(StandardCharsets.UTF_8);
    Files.createDirectories(path.toAbsolutePath().getParent());
    this.file = Files.newOutputStream(path);
  }

  /** Reads one of the rank's two outputs to its end, on a thread of its own. */
  Thread follow(InputStream from, PrintStream to) {
    return Thread.ofPlatform()
        .daemon()
        .start(
            () -> {
              try (from) {
                copy(from, to);
              } catch (IOException e) {
                // the pipe is closed with its process
              }
            });
  }

  private void copy(InputStream from, PrintStream to) throws IOException {
    byte[] block = new byte[LONGEST_LINE];
    int filled = 0;
    int read;
    while ((read = from.read(block, filled, block.length - filled)) >= 0) {
      int end = filled + read;
      int whole = lastNewline(block, filled, end) + 1;
      if (whole == 0 && end == block.length) {
        whole = end; // a line longer than anybody reads is cut
      }
      say(block, whole, to);
      System.arraycopy(block, whole, block, 0, end - whole);
      filled = end - whole;
    }
    say(block, filled, to);
  }

  private static int lastNewline(byte[] block, int from, int to) {
    for (int i = to - 1; i >= from; i--) {
      if (block[i] == '\n') {
        return i;
      }
    }
    return -1;
  }

  private void say(byte[] block, int length, PrintStream to) {
    if (length == 0) {
      return;
    }
    var lines = new ByteArrayOutputStream(length + 64);
    int start = 0;
    synchronized (this) {
      while (start < length) {
        int end = start;
        while (end < length && block[end] != '\n') {
          end++;
        }
        lines.writeBytes(prefix);
        lines.write(block, start, end - start);
        lines.write('\n');
        keep(new String(block, start, end - start, StandardCharsets.UTF_8));
        start = end + 1;
      }
      write(block, length, to);
    }
    byte[] bytes = lines.toByteArray();
    synchronized (to) {
      to.write(bytes, 0, bytes.length);
      to.flush();
    }
  }

  private void write(byte[] block, int length, PrintStream to) {
    if (fileFailed) {
      return;
    }
    try {
      file.write(block, 0, length);
    } catch (IOException e) {
      fileFailed = true;
      to.println("moextend: the log file of this rank ends here: " + e.getMessage());
    }
  }

  private void keep(String line) {
    if (line.isBlank()) {
      return;
    }
    last.addLast(line.length() > CHARACTERS_KEPT ? line.substring(0, CHARACTERS_KEPT) : line);
    if (last.size() > LINES_KEPT) {
      last.removeFirst();
    }
  }

  /** The last that was said, as it stands in the log. */
  synchronized String lastLines() {
    return last.stream().collect(Collectors.joining("\n"));
  }

  @Override
  public synchronized void close() throws IOException {
    fileFailed = true;
    file.close();
  }
}
