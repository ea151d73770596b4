package io.moextend.cli;

import java.io.PrintWriter;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParseResult;

/** Where a command writes, and what it was told. */
final class Commands {
  private Commands() {}

  static PrintWriter out(@Nullable CommandSpec spec) {
    return required(spec).commandLine().getOut();
  }

  /** A line, at once. */
  static void say(@Nullable CommandSpec spec, Object line) {
    PrintWriter out = out(spec);
    out.println(line);
    out.flush();
  }

  static PrintWriter err(@Nullable CommandSpec spec) {
    return required(spec).commandLine().getErr();
  }

  /** The options that were given, without those that have their default. */
  static ParseResult typed(@Nullable CommandSpec spec) {
    return required(spec).commandLine().getParseResult();
  }

  private static CommandSpec required(@Nullable CommandSpec spec) {
    if (spec == null) {
      throw new IllegalStateException("a command runs through picocli");
    }
    return spec;
  }
}
