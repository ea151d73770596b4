package io.moextend.cli;

import java.io.PrintWriter;
import java.io.StringWriter;

/** A command line that was run in this process, and what it said. */
record Ran(int code, String out, String err) {
  static Ran moextend(Object... args) {
    var out = new StringWriter();
    var err = new StringWriter();
    String[] words = new String[args.length];
    for (int i = 0; i < words.length; i++) {
      words[i] = args[i].toString();
    }
    int code = MoExtend.run(new PrintWriter(out), new PrintWriter(err), words);
    return new Ran(code, out.toString(), err.toString());
  }
}
