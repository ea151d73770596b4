package io.moextend.stage.convert;

import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.FrozenProof.Print;
import io.moextend.checkpoint.TensorStream;
import io.moextend.checkpoint.WeightSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentSkipListMap;
import org.jspecify.annotations.Nullable;

/**
 * What a conversion did, told after both models were read again, and if wanted run: conversion.json
 * beside the converted weights.
 *
 * @param formatVersion 1
 * @param from {@code model_type} of the source
 * @param to {@code model_type} of the converted model
 * @param layers those with experts, in the one or the other
 * @param copied how many tensors are in both under one name with the same type, shape and bytes
 * @param cloned how many are in the converted model under a new name, each byte for byte its origin
 * @param clones of which tensor of the source, which are byte for byte the same
 * @param drawn tensors that are new: routers
 * @param dropped tensors of the source that the converted model does without
 * @param logits how the two models' answers compare; null where that was left out
 */
public record ConversionReceipt(
    int formatVersion,
    String from,
    String to,
    List<Integer> layers,
    int copied,
    int cloned,
    SortedMap<String, Clones> clones,
    List<String> drawn,
    List<String> dropped,
    @Nullable LogitReceipt logits) {
  public ConversionReceipt {
    layers = List.copyOf(layers);
    clones = Collections.unmodifiableSortedMap(new TreeMap<>(clones));
    drawn = List.copyOf(drawn);
    dropped = List.copyOf(dropped);
  }

  /** The name it is kept under. */
  public static final String FILE = "conversion.json";

  private static final int VERSION = 1;
  private static final JsonMapper JSON =
      JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

  /**
   * The new names of one tensor.
   *
   * @param sha256 of the source's bytes and of every clone's, little-endian and row-major
   */
  public record Clones(String sha256, List<String> names) {
    public Clones {
      names = List.copyOf(names);
    }
  }

  /**
   * Reads every tensor of both models once, on as many threads as there are cores.
   *
   * @throws CheckpointException where one was not taken over byte for byte
   */
  static ConversionReceipt of(Conversion conversion, WeightSource written) {
    var names = new TreeMap<String, SortedSet<String>>();
    conversion
        .from()
        .forEach((name, old) -> names.computeIfAbsent(old, _ -> new TreeSet<>()).add(name));
    var clones = new ConcurrentSkipListMap<String, Clones>();
    names.entrySet().parallelStream()
        .forEach(
            entry -> {
              String old = entry.getKey();
              Print origin = Print.of(conversion.source().weights().stream(old));
              for (String name : entry.getValue()) {
                require(written, name, origin, conversion.source().weights().origin(), old);
              }
              if (!entry.getValue().equals(Set.of(old))) {
                clones.put(old, new Clones(origin.sha256(), List.copyOf(entry.getValue())));
              }
            });
    int cloned = clones.values().stream().mapToInt(c -> c.names().size()).sum();
    return new ConversionReceipt(
        VERSION,
        conversion.source().type().modelType(),
        conversion.type().modelType(),
        List.copyOf(conversion.layers()),
        conversion.from().size() - cloned,
        cloned,
        clones,
        conversion.drawn().stream().map(TensorStream::name).toList(),
        List.copyOf(conversion.dropped()),
        null);
  }

  ConversionReceipt with(LogitReceipt answers) {
    return new ConversionReceipt(
        formatVersion, from, to, layers, copied, cloned, clones, drawn, dropped, answers);
  }

  private static void require(
      WeightSource written, String name, Print origin, String from, String old) {
    Print found = Print.of(written.stream(name));
    if (!found.equals(origin)) {
      throw CheckpointException.ofTensor(
          written.origin(),
          name,
          "was written as %s, but %s of %s is %s; the disk is at fault or the source was changed: convert again"
              .formatted(found, old, from, origin));
    }
  }

  /**
   * @throws IOException where the disk refuses
   */
  void write(Path file) throws IOException {
    Files.writeString(file, JSON.writeValueAsString(this) + "\n");
  }
}
