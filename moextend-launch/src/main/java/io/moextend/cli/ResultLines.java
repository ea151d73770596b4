package io.moextend.cli;

import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Of what ranks print, the first one's JSON lines, as if it had printed them alone. */
final class ResultLines extends OutputStream {
  private static final Pattern RESULT = Pattern.compile("\\[rank 0\\] (\\{.*\\})");

  private final PrintWriter to;
  private final ByteArrayOutputStream line = new ByteArrayOutputStream();

  ResultLines(PrintWriter to) {
    this.to = to;
  }

  @Override
  public synchronized void write(int b) {
    if (b != '\n') {
      line.write(b);
      return;
    }
    Matcher result = RESULT.matcher(line.toString(StandardCharsets.UTF_8).strip());
    if (result.matches()) {
      to.println(result.group(1));
      to.flush();
    }
    line.reset();
  }
}
