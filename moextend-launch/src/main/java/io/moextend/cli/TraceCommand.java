package io.moextend.cli;

import io.moextend.array.Arena;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.SafetensorsWriter;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.TensorStream;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.T5Config;
import io.moextend.config.TowerConfig;
import io.moextend.config.VisionConfig;
import io.moextend.eval.DecoderTrace;
import io.moextend.eval.ScalesTrace;
import io.moextend.eval.TowerTrace;
import io.moextend.eval.TraceRequest;
import io.moextend.model.FreshParameters;
import io.moextend.model.LoadedParameters;
import io.moextend.model.OpenModel;
import io.moextend.stage.Stage;
import io.moextend.vision.ImageEncoder;
import io.moextend.vision.Tower;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.Spec;

/** One batch through a model, every tensor on the way written to a file. */
@Command(
    name = "trace",
    mixinStandardHelpOptions = true,
    description = {
      "Runs one given batch and writes named tensors, each under the name it has in the reference files (golden/README.md says what each is): hidden_states.N, mlp_in.N, mlp_out.N, router_logits.N, selected_experts.N, vision_features, image_features, logits, lm_loss, aux_loss, loss, grad.NAME, after.NAME, loss_after.",
      "Of MoIIE's models vis_router_logits.N, lan_router_logits.N and vis_selected_experts.N, lan_selected_experts.N, with one gate for all tokens all_router_logits.N and all_selected_experts.N; aux_loss_vis, aux_loss_lan, ce_loss; merged.NAME and vision_token_mask, what the decoder is given.",
      "Of a T5, with an adapter or without, every batch in the file (plain., packed. and other names, score. with choices): BATCH.encoder_hidden.N, decoder_hidden.N, encoder_output, decoder_output, logits, router.MODULE, adapter_output.MODULE, loss, loss_no_z, z_loss, loss_sum, loss_weights, loss_normalizer, grad.NAME; score.scores and score.predictions. A batch without a name has Hugging Face's names."
    },
    footer = {
      "",
      "Example:  moextend trace --model golden/moextend/vision_gate --inputs golden/moextend/vision_gate/inputs.safetensors \\",
      "            --output traced.safetensors --stage extension --gradients --adamw-steps 3 --learning-rate 0.01 --max-grad-norm 1",
      "          moextend trace --model golden/moiie/moiie_phi3 --inputs golden/moiie/moiie_phi3/inputs.safetensors \\",
      "            --output traced.safetensors --stage sft --gradients --adamw-steps 3 --learning-rate 0.001",
      "          moextend trace --model golden/mov/molora --inputs golden/mov/molora/inputs.safetensors --output traced.safetensors \\",
      "            --stage adapt --gradients --adafactor-steps 3 --start-step 1100000 --learning-rate 0.0003"
    })
final class TraceCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;
  @Mixin private final ModelOptions model = new ModelOptions();
  @Mixin private final BackendOptions backend = new BackendOptions();
  @Mixin private final AdaptTraceOptions adapt = new AdaptTraceOptions();

  @Option(
      names = "--inputs",
      required = true,
      paramLabel = "FILE",
      description = {
        "safetensors with input_ids [rows, length] and, as there are any, labels and attention_mask of the same shape, pixel_values or images [N, 3, S, S], and selected_experts.N [tokens, k] to replay a choice.",
        "Where the vocabulary marks images, img_pos says where they stand: row, position of <image>, position of </image>.",
        "Other models, MoIIE's among them, have -200 in input_ids for a whole image. With images in the file, rows are widened to a slot for each patch, cut at config.json's tokenizer_model_max_length and filled up with zeros; token_type_ids, where given, have the widened shape, 1 at patches. input_ids of that very shape without a -200 are taken as widened. A row without an image may own one that goes nowhere.",
        "Of a vision tower: pixel_values, and for a loss loss_weight and pool_weight.",
        "Of a T5: BATCH.input_ids and BATCH.labels, where there are any BATCH.decoder_input_ids, encoder_segment_ids and decoder_segment_ids, and to have rows scored BATCH.is_correct [examples, choices]; or the same without a BATCH, with labels -100 at padding."
      })
  private Path inputs = Path.of("");

  @Option(
      names = "--prefix",
      paramLabel = "NAME",
      defaultValue = "",
      description =
          "Read only the tensors of --inputs whose names begin with it, and write names that do: with text_only. the batch is text_only.input_ids, text_only.labels and so on.")
  private String prefix = "";

  @Option(
      names = "--output",
      required = true,
      paramLabel = "FILE",
      description = "safetensors to write; must not exist.")
  private Path output = Path.of("");

  @Option(
      names = "--stage",
      paramLabel = "alignment|extension|finetune|pretrain|sft|full|adapt",
      description =
          "What trains, for gradients and steps; without it every weight does, the vision tower's too. adapt: the adapter of --adapter or of the model's folder; of a T5 without one, every weight.")
  private @Nullable String stage;

  @Option(
      names = "--trainable",
      paramLabel = "FILE",
      description =
          "JSON whose list \"trainable\" names what trains, tensor by tensor, as a reference case's meta.json does; instead of --stage.")
  private @Nullable Path trainable;

  @Option(
      names = "--gradients",
      description = "Write grad.NAME of the loss at the start weights, not clipped.")
  private boolean gradients;

  @Option(
      names = {"--adamw-steps", "--adam-steps"},
      defaultValue = "0",
      description = "AdamW steps on the same batch; writes after.NAME and loss_after.")
  private int steps;

  @Option(names = "--learning-rate", defaultValue = "0", description = "Of the steps.")
  private double learningRate;

  @Option(
      names = "--weight-decay",
      defaultValue = "0",
      description = "Of the steps (default: ${DEFAULT-VALUE}).")
  private double weightDecay;

  @Option(
      names = "--max-grad-norm",
      defaultValue = "0",
      description = "Clip the global norm; without it nothing is clipped.")
  private double maxGradNorm;

  @Option(
      names = "--s2-scales",
      paramLabel = "SIZES",
      split = ",",
      description =
          "Of a vision tower: look at pixel_values at these sizes, 384,768,1152 for instance, and write tiles.SIZE, tower_out.SIZE and features.")
  private List<Integer> scales = List.of();

  @Option(names = "--checkpointing", description = "Run layers again in the backward pass.")
  private boolean checkpointing;

  @Option(
      names = "--selected-experts",
      paramLabel = "FILE",
      description = "safetensors whose selected_experts.N are replayed.")
  private @Nullable Path selected;

  @Override
  public Integer call() throws IOException {
    if (Files.exists(output)) {
      throw new ConfigException("--output", output, "exists already; remove it or name another");
    }
    boolean trains = gradients || steps > 0;
    TrainableNames names = trainable == null ? null : TrainableNames.read(trainable);
    var request =
        new TraceRequest(
            trains ? roles(names) : Set.of(),
            gradients,
            steps,
            learningRate,
            weightDecay,
            maxGradNorm,
            checkpointing);
    if (!scales.isEmpty() && !(model.config().model() instanceof TowerConfig)) {
      throw new ConfigException(
          "--s2-scales", scales, "is for a tower alone; a whole model's are in its config.json");
    }
    List<TensorData> traced;
    try (Backend opened = backend.open();
        WeightSource batch = batch()) {
      traced =
          switch (model.config().model()) {
            case DecoderConfig decoder ->
                decoder(opened, decoder, batch, request, trains ? names : null);
            case T5Config t5 ->
                adapt.trace(typed(), model, t5, opened, backend.dtype(), batch, stage, request);
            case TowerConfig tower -> tower(opened, tower, batch, request);
          };
    }
    SafetensorsWriter.writeFile(
        output, traced.stream().map(t -> TensorStream.of(t.named(prefix + t.name()))).toList());
    Commands.out(spec).printf("%d tensors written to %s%n", traced.size(), output);
    Commands.out(spec).flush();
    return 0;
  }

  private Set<Role> roles(@Nullable TrainableNames names) {
    if (names == null) {
      return stage == null ? TraceRequest.allRoles() : Stage.named(stage).trained();
    }
    if (stage != null) {
      throw new ConfigException("--trainable", names.file(), "says what trains; leave out --stage");
    }
    return names.roles(model.config().decoder());
  }

  private WeightSource batch() {
    WeightSource file = SafetensorsFile.open(inputs);
    WeightSource batch = prefix.isEmpty() ? file : new Unprefixed(file, prefix);
    return selected == null ? batch : Replayed.of(batch, SafetensorsFile.open(selected));
  }

  private ParseResult typed() {
    return Commands.typed(spec);
  }

  private List<TensorData> decoder(
      Backend opened,
      DecoderConfig config,
      WeightSource batch,
      TraceRequest request,
      @Nullable TrainableNames names) {
    adapt.requireNone(typed(), true);
    boolean adapted = Stage.ADAPT.word().equals(stage);
    try (OpenModel open =
        adapt.decoder(model, config, opened, backend.dtype(), request.trained(), adapted)) {
      if (!open.initialised().isEmpty()) {
        throw new ConfigException(
            model.folder()
                + ": has no "
                + open.initialised().getFirst()
                + "; a trace starts nothing fresh");
      }
      if (names != null) {
        names.applyTo(open.decoder());
      }
      return DecoderTrace.run(opened, open.decoder(), batch, model.config().longestRow(), request);
    }
  }

  private List<TensorData> tower(
      Backend opened, TowerConfig config, WeightSource batch, TraceRequest request) {
    adapt.requireNone(typed(), false);
    if (!scales.isEmpty() && !request.trained().isEmpty()) {
      throw new ConfigException("--s2-scales", scales, "is without --gradients and --adamw-steps");
    }
    try (Arena arena = opened.arena("tower");
        WeightSource weights = model.weights()) {
      var fresh = new FreshParameters(opened, arena, backend.dtype(), Set.of(), 0, 0);
      var from =
          new LoadedParameters(
              weights, opened, arena, backend.dtype(), request.trained(), fresh, Set.of());
      return scales.isEmpty()
          ? whole(opened, from, config, batch, request)
          : atScales(opened, from, config, batch);
    }
  }

  private List<TensorData> whole(
      Backend opened,
      LoadedParameters from,
      TowerConfig config,
      WeightSource batch,
      TraceRequest request) {
    try (var tower = Tower.of(from, "", config)) {
      from.requireAllRead();
      return TowerTrace.run(opened, tower, backend.dtype(), batch, request);
    }
  }

  /** The state that Bunny reads, before any projector. */
  private List<TensorData> atScales(
      Backend opened, LoadedParameters from, TowerConfig config, WeightSource batch) {
    var vision =
        new VisionConfig(
            config,
            "identity",
            config.family().normedFeatures() ? -1 : -2,
            VisionConfig.PLACEHOLDER,
            scales.stream().sorted().toList(),
            config.grid(),
            false);
    try (var encoder = new ImageEncoder(from, "", vision)) {
      from.requireAllRead();
      return ScalesTrace.run(opened, encoder, vision, backend.dtype(), batch);
    }
  }
}
