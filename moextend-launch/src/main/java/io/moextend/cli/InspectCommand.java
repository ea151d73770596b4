package io.moextend.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** What a folder holds. */
@Command(
    name = "inspect",
    mixinStandardHelpOptions = true,
    description = {
      "Shows what a folder holds: a whole model, a delta, a vision tower, or a run and how far it came. Reads headers alone,",
      "unless --fingerprint asks for every byte."
    },
    footer = {"", "Example:  moextend inspect --model runs/finetune --tensors"})
final class InspectCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;
  @Mixin private final ModelOptions model = new ModelOptions();

  @Option(names = "--tensors", description = "List every tensor.")
  private boolean tensors;

  @Option(
      names = "--fingerprint",
      description = "The fingerprint of all weights, as deltas name their base; reads every byte.")
  private boolean fingerprint;

  @Option(names = "--json", description = "As JSON instead of a table.")
  private boolean json;

  @Override
  public Integer call() {
    PrintWriter out = Commands.out(spec);
    ObjectNode facts = new FolderFacts(model.where(), tensors, fingerprint).read();
    out.println(json ? pretty(facts) : FactsTable.text(facts).stripTrailing());
    out.flush();
    return 0;
  }

  private static String pretty(ObjectNode facts) {
    try {
      return new JsonMapper().writerWithDefaultPrettyPrinter().writeValueAsString(facts);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
