package io.moextend.eval;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.LossKernels.BalanceForm;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderType.Eyes;
import io.moextend.config.VisionConfig;
import io.moextend.model.CausalLoss;
import io.moextend.model.Decoder;
import io.moextend.model.ModelInput;
import io.moextend.model.Routing;
import io.moextend.model.Watch;
import io.moextend.moe.Modalities;
import io.moextend.moe.Router.Window;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One given batch through a decoder, everything on the way written down under the names of the
 * reference files: how anyone compares us with Python, layer by layer.
 */
public final class DecoderTrace {
  private final Backend backend;
  private final Decoder model;
  private final TraceInputs inputs;
  private final TraceRequest request;
  private final CausalLoss loss;
  private final boolean bunny;
  private final TraceOutput out;

  private DecoderTrace(Backend backend, Decoder model, TraceInputs inputs, TraceRequest request) {
    this.backend = backend;
    this.model = model;
    this.inputs = inputs;
    this.request = request;
    this.loss = CausalLoss.published(model.config());
    this.bunny = model.config().type().eyes() == Eyes.BUNNY;
    this.out = new TraceOutput(backend);
  }

  /**
   * As {@link #run(Backend, Decoder, WeightSource, int, TraceRequest)}, rows of any length.
   *
   * @param inputs the batch's file, see the reference folder's README
   */
  public static List<TensorData> run(
      Backend backend, Decoder model, WeightSource inputs, TraceRequest request) {
    return run(backend, model, inputs, 0, request);
  }

  /**
   * @param longest where rows of widened images are cut, {@link
   *     io.moextend.config.HuggingFaceConfig#longestRow}; 0 = nowhere
   * @return the traced tensors, whose values are on the heap
   */
  public static List<TensorData> run(
      Backend backend, Decoder model, WeightSource inputs, int longest, TraceRequest request) {
    var read = TraceInputs.read(inputs, model.config().vision(), longest);
    var trace = new DecoderTrace(backend, model, read, request);
    trace.forward();
    if (request.gradients() || request.adamSteps() > 0) {
      trace.requireLabels();
    }
    new TracedTraining(backend, model, trace::loss, trace.out).run(request);
    return trace.out.tensors();
  }

  private void forward() {
    try (Arena arena = backend.arena("trace")) {
      Tape tape = Tape.off(backend, arena);
      merged(arena);
      Decoder.Output output =
          model.forward(
              tape, inputs.on(backend, arena, model.dtype(), inputs.forced()), false, watch());
      for (Routing routing : output.routings()) {
        routing.windows().forEach(window -> put(arena, routing, window));
      }
      out.put(
          "logits",
          model.logits(tape, output.hidden()).data(),
          rows().batch(),
          rows().length(),
          model.config().vocab());
      CausalLoss.Labels labels = inputs.labels(backend, arena);
      if (labels != null) {
        CausalLoss.Terms terms = terms(tape, arena, output, labels, rows().mask());
        out.put(bunny ? "ce_loss" : "lm_loss", terms.languageModel().data());
        terms.balances().forEach((group, loss) -> out.put(group.loss(), loss.data()));
        out.put("loss", terms.total().data());
        if (!bunny) {
          testMode(tape, arena, output, labels);
        }
      }
    }
  }

  private TracedRows rows() {
    return inputs.rows();
  }

  /** What the published code hands to a decoder whose images it has widened. */
  private void merged(Arena arena) {
    byte[] patches = rows().patches();
    if (patches == null || !rows().widened()) {
      return;
    }
    rows().put(out);
    var modalities = Modalities.of(backend, arena, patches, rows().length());
    byte[] vision = new byte[patches.length];
    for (int t = 0; t < vision.length; t++) {
      vision[t] = (byte) (modalities.isVision(t) ? 1 : 0);
    }
    out.put("vision_token_mask", vision, rows().batch(), rows().length());
  }

  /** Of a group's tokens alone, and its choice counted from the first expert it reaches. */
  private void put(Arena arena, Routing routing, Window window) {
    String group =
        switch (window.group()) {
          case ALL -> bunny ? "all_" : "";
          case VISION -> "vis_";
          case TEXT -> "lan_";
        };
    int[] rows = routing.rows(window);
    Array of = backend.ints(arena, rows, rows.length);
    Array logits = backend.gatherRows(arena, routing.logits().data(), of);
    Array within =
        backend.columns(arena, logits, window.column(), window.column() + window.columns());
    out.put(group + "router_logits." + routing.layer(), within, within.shape());
    Array chosen = backend.gatherRows(arena, routing.chosen(), of);
    int[] local = backend.toInts(chosen);
    for (int i = 0; i < local.length; i++) {
      local[i] -= window.expert();
    }
    out.put(
        group + "selected_experts." + routing.layer(),
        backend.ints(arena, local, chosen.shape()),
        chosen.shape());
  }

  /**
   * Without a mask the published extended model adds no layer up and has 0; the pooled form counts
   * every token.
   */
  private void testMode(Tape tape, Arena arena, Decoder.Output output, CausalLoss.Labels labels) {
    Tensor unmasked = terms(tape, arena, output, labels, null).aux();
    if (unmasked != null) {
      double published = loss.form() == BalanceForm.PER_LAYER ? 0 : 1;
      out.put("test_mode.aux_loss", backend.scale(arena, unmasked.data(), published));
    }
  }

  private CausalLoss.Terms terms(
      Tape tape,
      Arena arena,
      Decoder.Output output,
      CausalLoss.Labels labels,
      byte @Nullable [] mask) {
    Array counted = mask == null ? null : backend.bytes(arena, mask, mask.length);
    return loss.of(tape, model, output, labels, counted);
  }

  /** What the forward pass shows, under the shapes the reference files have. */
  private Watch watch() {
    VisionConfig vision = model.config().vision();
    return (name, array) -> {
      long width = array.dim(1);
      if (name.startsWith("hidden_states.") || name.startsWith("mlp_")) {
        out.put(name, array, rows().batch(), rows().length(), width);
        if (name.equals("hidden_states.0") && rows().widened()) {
          out.put("merged.inputs_embeds", array, rows().batch(), rows().length(), width);
        }
        return;
      }
      if (name.startsWith("router.") || name.startsWith("adapter_output.")) {
        adapter(name, array);
        return;
      }
      int tokens =
          vision == null
              ? 1
              : switch (name) {
                case "image_features" -> vision.tokens();
                case "vision_features" -> vision.patches();
                default -> vision.tower().rows();
              };
      out.put(name, array, array.dim(0) / tokens, tokens, width);
    };
  }

  /** A router of keys or values has a row for each head. */
  private void adapter(String name, Array array) {
    long tokens = (long) rows().batch() * rows().length();
    long heads = array.dim(0) / tokens;
    if (heads > 1) {
      out.put(name, array, rows().batch(), rows().length(), heads, array.dim(1));
    } else {
      out.put(name, array, rows().batch(), rows().length(), array.dim(1));
    }
  }

  private void requireLabels() {
    if (rows().labels() == null) {
      throw new ConfigException(
          inputs.origin() + ": has no labels, which gradients and steps need");
    }
  }

  /**
   * A recorded choice of experts holds for the start weights alone: the first update parts a fresh
   * expert from its origin, and from then on the routers choose.
   */
  private Tensor loss(Tape tape, Arena arena, int step) {
    ModelInput input =
        inputs.on(backend, arena, model.dtype(), step == 0 ? inputs.forced() : List.of());
    Decoder.Output output = model.forward(tape, input, request.checkpointing(), Watch.NONE);
    CausalLoss.Labels labels = inputs.labels(backend, arena);
    if (labels == null) {
      throw new IllegalStateException("no labels");
    }
    return terms(tape, arena, output, labels, rows().mask()).total();
  }
}
