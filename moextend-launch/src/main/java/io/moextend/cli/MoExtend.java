package io.moextend.cli;

import java.io.PrintWriter;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/**
 * Entry point. Exit codes: 0 done, 1 our fault, 2 the user's (bad flag, config, file), 3 a check
 * that found something.
 */
@Command(
    name = "moextend",
    mixinStandardHelpOptions = true,
    version = "moextend 0.1.0",
    description = {
      "Adds new experts, gates and a vision connector to a pretrained mixture-of-experts language model,",
      "trains only those, and proves that nothing else moved."
    },
    footer = {"", "Start here:  moextend demo", "Each command has --help with an example."},
    subcommands = {
      GenerateCommand.class,
      DemoCommand.class,
      TrainCommand.class,
      RandomModelCommand.class,
      ExpertDistributionCommand.class,
      InitExpertCommand.class,
      TraceCommand.class,
      VerifyCommand.class,
      InspectCommand.class,
      BenchCommand.class,
      DoctorCommand.class
    })
public final class MoExtend implements Runnable {
  @Spec private @Nullable CommandSpec spec;

  public static void main(String[] args) {
    System.exit(run(args));
  }

  /** Runs a command line and returns its exit code. */
  public static int run(String... args) {
    return run(new CommandLine(new MoExtend()), args);
  }

  /** The same with everything it says written elsewhere. */
  static int run(PrintWriter out, PrintWriter err, String... args) {
    return run(new CommandLine(new MoExtend()).setOut(out).setErr(err), args);
  }

  private static int run(CommandLine command, String... args) {
    boolean debug = Arrays.asList(args).contains("--debug");
    command.setCaseInsensitiveEnumValuesAllowed(true);
    command.setParameterExceptionHandler(MoExtend::usageFault);
    command.setExecutionExceptionHandler(
        (e, line, parsed) -> Faults.report(e, line.getErr(), debug));
    return command.execute(
        Arrays.stream(args).filter(a -> !a.equals("--debug")).toArray(String[]::new));
  }

  private static int usageFault(ParameterException e, String[] args) {
    PrintWriter err = e.getCommandLine().getErr();
    err.println("moextend: " + e.getMessage());
    CommandLine.UnmatchedArgumentException.printSuggestions(e, err);
    err.println("see: " + e.getCommandLine().getCommandSpec().qualifiedName() + " --help");
    return 2;
  }

  @Override
  public void run() {
    if (spec != null) {
      spec.commandLine().usage(spec.commandLine().getOut());
    }
  }
}
