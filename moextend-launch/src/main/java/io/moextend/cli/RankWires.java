package io.moextend.cli;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.comm.Collective;
import io.moextend.comm.DirectCollective;
import io.moextend.comm.HierarchicalCollective;
import io.moextend.comm.Place;
import io.moextend.comm.SharedMemoryCollective;
import io.moextend.comm.Vigil;
import io.moextend.comm.aeron.AeronTransport;
import io.moextend.comm.aeron.Channel;
import io.moextend.comm.aeron.Endpoint;
import io.moextend.comm.aeron.Session;
import io.moextend.comm.aeron.Tuning;
import io.moextend.comm.group.Card;
import io.moextend.comm.group.Group;
import io.moextend.comm.group.GroupLimits;
import io.moextend.config.ConfigException;
import io.moextend.train.DistributedSection.Wire;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/**
 * What the ranks of a group talk over: mapped memory within a host, Aeron between hosts.
 *
 * @param bind the local address that this rank showed on its card
 * @param folder of this host's ranks, in memory
 * @param report hears what was dropped
 */
record RankWires(
    Group group, GroupLimits limits, InetAddress bind, Path folder, Consumer<String> report) {
  /** On a rank's card: where its datagrams go. */
  static byte[] details(Endpoint udp) {
    return (udp.host() + " " + udp.port()).getBytes(StandardCharsets.UTF_8);
  }

  private static Endpoint endpoint(Card card) {
    String[] words = new String(card.details(), StandardCharsets.UTF_8).split(" ", 2);
    try {
      return new Endpoint(words[0], Integer.parseInt(words[1]));
    } catch (RuntimeException e) {
      throw new ConfigException(
          "%s showed a card that does not say where its datagrams go; do all hosts run the same version?"
              .formatted(card.named()),
          e);
    }
  }

  /** Where this rank stands; ranks are numbered host by host. */
  Place place() {
    Map<String, Integer> ranks = new LinkedHashMap<>();
    String before = "";
    for (Card card : group.cards()) {
      if (ranks.containsKey(card.host()) && !before.equals(card.host())) {
        throw new ConfigException(
            "the ranks of host %s are not numbered one after the other; number ranks host by host"
                .formatted(card.host()));
      }
      ranks.merge(card.host(), 1, Integer::sum);
      before = card.host();
    }
    try {
      return Place.of(group.rank(), List.copyOf(ranks.values()));
    } catch (IllegalArgumentException e) {
      throw new ConfigException(String.valueOf(e.getMessage()), e);
    }
  }

  /** Returns when all ranks are there. */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // a collective closes the wire it is given
  Collective open(Wire wire) {
    Place place = place();
    Vigil vigil = group.vigil();
    return switch (wire) {
      case AERON_IPC -> {
        requireOneHost(place, wire);
        yield new DirectCollective(aeron(all(), new Channel.Ipc(), "world", vigil), vigil);
      }
      case AERON_UDP -> new DirectCollective(aeron(all(), udp(all()), "world", vigil), vigil);
      case SHARED_MEMORY -> {
        requireOneHost(place, wire);
        yield new SharedMemoryCollective(folder, group.rank(), group.world(), vigil);
      }
      case AUTO, NCCL -> byPlace(place, vigil); // NCCL's ranks meet over it
    };
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // a collective closes the wire it is given
  private Collective byPlace(Place place, Vigil vigil) {
    if (place.hosts() == 1) {
      return new SharedMemoryCollective(folder, group.rank(), group.world(), vigil);
    }
    if (place.locals() == 1) {
      return new DirectCollective(aeron(all(), udp(all()), "world", vigil), vigil);
    }
    SharedMemoryCollective local = SharedMemoryCollective.ofHost(folder, place, vigil);
    var counterparts = new ArrayList<Card>();
    for (int host = 0; host < place.hosts(); host++) {
      counterparts.add(group.cards().get(host * place.locals() + place.local()));
    }
    return new HierarchicalCollective(
        place,
        local,
        aeron(counterparts, udp(counterparts), "local-" + place.local(), local.outward()),
        vigil);
  }

  private static void requireOneHost(Place place, Wire wire) {
    if (place.hosts() > 1) {
      throw new ConfigException(
          "distributed.transport",
          wire,
          "joins the ranks of one host, and this run has %d; write auto or aeron_udp"
              .formatted(place.hosts()));
    }
  }

  private List<Card> all() {
    return group.cards();
  }

  private Channel udp(List<Card> cards) {
    return new Channel.Udp(bind, cards.stream().map(RankWires::endpoint).toList());
  }

  @MustBeClosed
  private AeronTransport aeron(List<Card> members, Channel channel, String name, Vigil vigil) {
    int rank = members.stream().map(Card::rank).toList().indexOf(group.rank());
    var session =
        new Session(
            group
                .environment()
                .token()
                .sign(
                    "frames".getBytes(StandardCharsets.UTF_8),
                    group.environment().runId().getBytes(StandardCharsets.UTF_8)),
            group.environment().generation(),
            name);
    var settings =
        new AeronTransport.Settings(
            rank, members.size(), channel, folder, session, Tuning.patient(limits.collective()));
    return AeronTransport.open(settings, vigil, report);
  }
}
