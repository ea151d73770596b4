package io.moextend.demo;

import io.moextend.config.ConfigException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Supplier;

/**
 * Text to pretrain a language model on, and text it never saw. No line of {@code heldOut} is in
 * {@code train}; the facts of the world stand in {@code train} alone, each several times.
 */
public record TextCorpus(List<TextSample> train, List<TextSample> heldOut) {
  private static final int FACT_COPIES = 8;

  public TextCorpus {
    train = List.copyOf(train);
    heldOut = List.copyOf(heldOut);
  }

  /**
   * @param statements different sentences in both parts together
   * @param dialogues different dialogues in both parts together
   * @param heldOutShare what part of each is held back, 0 to 1
   */
  static TextCorpus of(Random random, int statements, int dialogues, double heldOutShare) {
    if (!(heldOutShare > 0 && heldOutShare < 1)) {
      throw new ConfigException("heldOutShare", heldOutShare, "must lie between 0 and 1");
    }
    Narrator narrator = new Narrator(random);
    List<TextSample> train = new ArrayList<>();
    List<TextSample> heldOut = new ArrayList<>();
    split(different("statements", statements, narrator::statement), heldOutShare, train, heldOut);
    split(different("dialogues", dialogues, narrator::dialogue), heldOutShare, train, heldOut);
    for (int copy = 0; copy < FACT_COPIES; copy++) {
      train.addAll(WorldFacts.all());
    }
    Collections.shuffle(train, random);
    Collections.shuffle(heldOut, random);
    return new TextCorpus(train, heldOut);
  }

  private static List<TextSample> different(
      String what, int count, Supplier<? extends TextSample> source) {
    Map<String, TextSample> byLine = new LinkedHashMap<>();
    for (long tries = 0; byLine.size() < count; tries++) {
      if (tries > 20L * count + 1000) {
        throw new ConfigException(
            what, count, "the world has about " + byLine.size() + " different ones; ask for fewer");
      }
      TextSample sample = source.get();
      byLine.putIfAbsent(sample.line(), sample);
    }
    return List.copyOf(byLine.values());
  }

  private static void split(
      List<TextSample> all, double share, List<TextSample> train, List<TextSample> heldOut) {
    int held = (int) Math.round(all.size() * share);
    heldOut.addAll(all.subList(0, held));
    train.addAll(all.subList(held, all.size()));
  }
}
