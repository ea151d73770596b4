package io.moextend.cli;

import io.moextend.checkpoint.FrozenProof;
import io.moextend.checkpoint.WeightSource;
import io.moextend.launch.ExitCodes;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Repeats the proof that nothing frozen moved. */
@Command(
    name = "verify",
    mixinStandardHelpOptions = true,
    description = {
      "Takes the SHA-256 of every tensor named in frozen.json again and compares. Exit code 3 where one moved."
    },
    footer = {
      "",
      "Example:  moextend verify --model runs/finetune/model --proof runs/finetune/frozen.json"
    })
final class VerifyCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;
  @Mixin private final ModelOptions model = new ModelOptions();

  @Option(
      names = "--proof",
      paramLabel = "FILE",
      description = "frozen.json of the run; default: beside the model's folder.")
  private @Nullable Path proof;

  @Override
  public Integer call() {
    PrintWriter out = Commands.out(spec);
    Path file = proof != null ? proof : model.folder().resolveSibling(FrozenProof.FILE);
    FrozenProof before;
    List<FrozenProof.Difference> moved;
    try (WeightSource source = model.weights()) {
      before = FrozenProof.read(file);
      moved = before.verify(source);
    }
    moved.forEach(d -> out.println("moved: " + d));
    out.printf(
        "%d of %d frozen tensors are byte for byte as in %s%n",
        before.tensors().size() - moved.size(), before.tensors().size(), file);
    out.flush();
    return moved.isEmpty() ? 0 : ExitCodes.FOUND;
  }
}
