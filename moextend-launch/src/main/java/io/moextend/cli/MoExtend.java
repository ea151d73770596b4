package io.moextend.cli;

import io.moextend.launch.ExitCodes;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/**
 * Entry point. Exit codes: 0 done, 1 our fault, 2 the user's (bad flag, config, file), 3 a check
 * that found something, 4 left on request after a checkpoint, 5 another rank was lost. The launcher
 * has those of its ranks.
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
      EvaluateCommand.class,
      DemoCommand.class,
      TrainCommand.class,
      LaunchCommand.class,
      RandomModelCommand.class,
      ExpertDistributionCommand.class,
      RoutingStatisticsCommand.class,
      InitExpertCommand.class,
      ConvertMoeCommand.class,
      MergeCommand.class,
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
    if (args.length > 0 && args[0].equals("launch")) {
      // alone: to look at all the other commands takes longer than to start the ranks
      return run(
          new CommandLine(new LaunchCommand()).setCommandName("moextend launch"),
          Arrays.copyOfRange(args, 1, args.length));
    }
    return run(new CommandLine(new MoExtend()), args);
  }

  /** The same with everything it says written elsewhere. */
  static int run(PrintWriter out, PrintWriter err, String... args) {
    return run(new CommandLine(new MoExtend()).setOut(out).setErr(err), args);
  }

  private static int run(CommandLine command, String... args) {
    List<String> words = Arrays.asList(args);
    int end = words.contains("--") ? words.indexOf("--") : words.size(); // the rest is another's
    boolean debug = words.subList(0, end).contains("--debug");
    command.setCaseInsensitiveEnumValuesAllowed(true);
    command.setParameterExceptionHandler(MoExtend::usageFault);
    command.setExecutionExceptionHandler(
        (e, line, parsed) -> Faults.report(e, line.getErr(), debug));
    var kept = new ArrayList<>(words.subList(0, end));
    kept.removeIf(word -> word.equals("--debug"));
    kept.addAll(words.subList(end, words.size()));
    return command.execute(kept.toArray(String[]::new));
  }

  private static int usageFault(ParameterException e, String[] args) {
    PrintWriter err = e.getCommandLine().getErr();
    err.println("moextend: " + e.getMessage());
    CommandLine.UnmatchedArgumentException.printSuggestions(e, err);
    err.println("see: " + e.getCommandLine().getCommandSpec().qualifiedName() + " --help");
    return ExitCodes.USERS;
  }

  @Override
  public void run() {
    if (spec != null) {
      spec.commandLine().usage(spec.commandLine().getOut());
    }
  }
}
