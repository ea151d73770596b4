package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.config.T5Config;
import io.moextend.nn.Site;
import io.moextend.nn.SitePass;
import io.moextend.nn.Sites;
import io.moextend.op.Scale;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** Where a T5 has places for adapters, and what it does with what they say. */
class T5SitesTest {
  private static final String BASE = "mov/t5_base";

  @Test
  void everyAttentionAndNetworkIsAskedForItsAdapters() {
    try (Backend backend = Backends.open("cpu", new Options(1, 0))) {
      var asked = new HashSet<String>();
      var config = T5Config.v11(100, 48, 16, 2, 20, 1, 1);
      var layers = new HashMap<String, Sites.Layer>();
      new T5(
              new ListedParameters(backend),
              config,
              layer -> {
                layers.put(layer.module(), layer);
                asked.add(layer.module().replaceAll(".*\\.layer\\.\\d\\.", ""));
                return null;
              })
          .close();
      assertThat(layers).hasSize(3 * 4 + 2 * 2);
      assertThat(asked)
          .containsExactlyInAnyOrder(
              "SelfAttention.q",
              "SelfAttention.k",
              "SelfAttention.v",
              "SelfAttention.o",
              "EncDecAttention.q",
              "EncDecAttention.k",
              "EncDecAttention.v",
              "EncDecAttention.o",
              "DenseReluDense.wi_0",
              "DenseReluDense.wo");
      String prefix = "decoder.block.0.layer.";
      assertThat(layers.get(prefix + "1.EncDecAttention.k"))
          .isEqualTo(new Sites.Layer(prefix + "1.EncDecAttention.k", 48, 32, 2));
      assertThat(layers.get(prefix + "2.DenseReluDense.wo"))
          .isEqualTo(new Sites.Layer(prefix + "2.DenseReluDense.wo", 20, 48, 1));
      assertThatThrownBy(
              () -> new T5(new ListedParameters(backend), config, layer -> new Doubling()))
          .hasMessageContaining("SelfAttention.q cannot be rescaled");
    }
  }

  /** Rescaling of keys and values, and of wi_0, by 2. */
  private record Doubling() implements Site.Rescaling {
    @Override
    public Tensor rescale(Tape tape, Tensor y, SitePass pass) {
      pass.watch().accept("doubled", y.data());
      return Scale.apply(tape, y, 2);
    }

    @Override
    public void visit(Consumer<Parameter> visitor) {}
  }

  /** Adds 3 times what it reads, cut or filled up to the width it gives. */
  private record Tripling(Sites.Layer layer) implements Site.Additive {
    @Override
    public Tensor delta(Tape tape, Tensor x, SitePass pass) {
      pass.routed().accept(layer.module(), x);
      return Scale.apply(tape, x, 3);
    }

    @Override
    public void visit(Consumer<Parameter> visitor) {}
  }

  @Test
  void adaptersActWhereTheyBelong() {
    // doubled values with a halved output are as they were; so is a doubled hidden state
    Sites doubling =
        layer ->
            layer.module().endsWith(".v") || layer.module().endsWith("wi_0")
                ? new Doubling()
                : null;
    Map<String, Double> halved = Map.of(".o.weight", 0.5, ".wo.weight", 0.5);
    compareWithBase(doubling, halved, 2 * 3 + 4);
    // 3x added to x·W is x·(W + 3)
    Sites tripling = layer -> layer.in() == layer.out() ? new Tripling(layer) : null;
    compareWithBase(tripling, Map.of(), 0);
  }

  private static void compareWithBase(Sites sites, Map<String, Double> factors, int seen) {
    try (var plain = new T5Case("cpu", BASE);
        var c = new T5Case("cpu", BASE, DType.F32, ParameterChoice.ALL, (b, a) -> sites)) {
      c.model.visit(p -> changed(c, p, factors));
      plain.model.visit(p -> tripled(plain, p, sites));
      var calls = new ArrayList<String>();
      var routed = new ArrayList<String>();
      var watch = new SitePass((n, a) -> calls.add(n), (m, t) -> routed.add(m), null);
      for (boolean checkpointing : new boolean[] {false, true}) {
        routed.clear();
        Tape tape = Tape.recording(c.backend, c.arena, (p, d) -> {});
        var pass = new T5.Pass(checkpointing, null, Watch.NONE, watch);
        float[] have =
            c.backend.toFloats(
                c.arena, c.model.forward(tape, c.batch("packed"), pass).decoder().data());
        float[] want = output(plain);
        for (int i = 0; i < want.length; i++) {
          assertThat(have[i]).isCloseTo(want[i], within(3e-5f + 1e-4f * Math.abs(want[i])));
        }
        assertThat(routed).hasSize(seen == 0 ? 6 * 4 : 0).doesNotHaveDuplicates();
      }
      assertThat(calls).as("what is seen, but where layers may run again").hasSize(seen);
    }
  }

  private static float[] output(T5Case c) {
    Tape tape = Tape.off(c.backend, c.arena);
    Tensor decoder = c.model.forward(tape, c.batch("packed"), T5.Pass.PLAIN).decoder();
    return c.backend.toFloats(c.arena, decoder.data());
  }

  private static void changed(T5Case c, Parameter p, Map<String, Double> factors) {
    factors.forEach(
        (end, factor) -> {
          if (p.name().endsWith(end)) {
            c.backend.copyInto(p.data(), c.backend.scale(c.arena, p.data(), factor));
            p.updated();
          }
        });
  }

  /** W + 3 where the adapter triples. */
  private static void tripled(T5Case c, Parameter p, Sites sites) {
    String module = p.name().replace(".weight", "");
    long[] shape = p.shape();
    boolean matrix = module.matches(".*Attention\\.[qkvo]");
    if (matrix && sites.at(new Sites.Layer(module, shape[1], shape[0], 1)) instanceof Tripling) {
      float[] values = c.backend.toFloats(c.arena, p.data());
      for (int i = 0; i < shape[0]; i++) {
        values[(int) (i * shape[1] + i)] += 3;
      }
      c.backend.copyInto(p.data(), c.backend.floats(c.arena, DType.F32, values, shape));
      p.updated();
    }
  }
}
