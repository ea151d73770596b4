package io.moextend.cli;

import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;

/** This program's own command line, by which a launcher starts it again as a rank. */
final class OwnCommand {
  private OwnCommand() {}

  /**
   * The same Java with the same options and class path.
   *
   * @param arguments of the moextend command
   */
  static List<String> with(List<String> arguments) {
    String java =
        ProcessHandle.current()
            .info()
            .command()
            .orElse(System.getProperty("java.home") + "/bin/java");
    var words = new ArrayList<String>();
    words.add(java);
    words.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
    words.add("-cp");
    words.add(System.getProperty("java.class.path"));
    words.add(MoExtend.class.getName());
    words.addAll(arguments);
    return words;
  }
}
