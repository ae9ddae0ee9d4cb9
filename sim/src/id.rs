//! Small numbers that stand for nodes and links, so that nothing on the packet path handles names.

/// A node of a topology: host, router or gateway. Given out by the topology, in building order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub(crate) u32);

/// A link between two nodes. Given out by the topology, in building order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkId(pub(crate) u32);

/// One direction of a [`LinkId`]: what one end sends and the other receives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DirectionId(pub(crate) u32);

impl NodeId {
    /// The node's number: its place in building order.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl LinkId {
    /// The link's number: its place in building order.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The direction in which the node named first when the link was made sends.
    pub const fn forward(self) -> DirectionId {
        DirectionId(self.0 * 2)
    }

    /// The direction in which the node named second when the link was made sends.
    pub const fn backward(self) -> DirectionId {
        DirectionId(self.0 * 2 + 1)
    }
}

impl DirectionId {
    /// The direction's number, from 0: two for each link.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The link this is a direction of.
    pub const fn link(self) -> LinkId {
        LinkId(self.0 / 2)
    }

    /// The same link, the other way.
    pub const fn reverse(self) -> DirectionId {
        DirectionId(self.0 ^ 1)
    }
}
