// Vendure: orders cancelled with `OrderService.cancelOrder`, one transaction, on SQLite. Argument: how many.
// The packages are looked for along NODE_PATH, which only `require` reads.

import { createRequire } from "node:module";

process.env.VENDURE_DISABLE_TELEMETRY = "true";
const {
    bootstrap, CustomerService, DefaultLogger, dummyPaymentHandler, isGraphQlErrorResult, LogLevel, Order, OrderService,
    Populator, ProductService, ProductVariantService, RequestContextService, ShippingMethodService,
    TransactionalConnection,
} = createRequire(import.meta.url)("@vendure/core");

const number = Number(process.argv[2]);
const app = await bootstrap({
    apiOptions: { hostname: "127.0.0.1", port: 0 },
    authOptions: {
        superadminCredentials: { identifier: "bench", password: "bench" },
        cookieOptions: { secret: "bench" },
    },
    dbConnectionOptions: { type: "better-sqlite3", database: "vendure.sqlite", synchronize: true, logging: false },
    logger: new DefaultLogger({ level: LogLevel.Error }),
    paymentOptions: { paymentMethodHandlers: [dummyPaymentHandler] },
});
const [orders, customers, products, variants, shipping, connection, populator, contexts] = [
    OrderService, CustomerService, ProductService, ProductVariantService, ShippingMethodService,
    TransactionalConnection, Populator, RequestContextService,
].map((service) => app.get(service));

// The services return errors and do not throw them.
const done = (result) => {
    if (isGraphQlErrorResult(result)) throw new Error(JSON.stringify(result));
    return result;
};

await populator.populateInitialData({
    defaultLanguage: "en",
    defaultZone: "Europe",
    countries: [{ code: "AT", name: "Austria", zone: "Europe" }],
    taxRates: [{ name: "Standard", percentage: 20 }],
    shippingMethods: [{ name: "Carrier", price: 500 }],
    paymentMethods: [{
        name: "Invoice",
        handler: { code: dummyPaymentHandler.code, arguments: [{ name: "automaticSettle", value: "false" }] },
    }],
    collections: [],
});
const outside = await contexts.create({ apiType: "admin" });
const placed = await connection.withTransaction(outside, async (ctx) => {
    const translations = [{ languageCode: "en", name: "Coat", slug: "coat", description: "" }];
    const product = await products.create(ctx, { translations });
    const [coat] = await variants.create(ctx, [
        { productId: product.id, translations, sku: "COAT", price: 10000, stockOnHand: number },
    ]);
    const { items: [carrier] } = await shipping.findAll(ctx);
    const buyer = { firstName: "Ann", lastName: "Acme", emailAddress: "ann@acme.example" };
    const acme = done(await customers.create(ctx, buyer));
    const address = { fullName: "Acme", streetLine1: "Ring 1", city: "Wien", postalCode: "1010", countryCode: "AT" };
    const ids = [];
    for (let each = 0; each < number; each++) {
        const { id } = await orders.create(ctx);
        done(await orders.addItemToOrder(ctx, id, coat.id, 1));
        await orders.addCustomerToOrder(ctx, id, acme);
        await orders.setShippingAddress(ctx, id, address);
        done(await orders.setShippingMethod(ctx, id, [carrier.id]));
        done(await orders.transitionToState(ctx, id, "ArrangingPayment"));
        done(await orders.addPaymentToOrder(ctx, id, { method: "invoice", metadata: {} }));
        ids.push(id);
    }
    return ids;
});
const open = await connection.getRepository(outside, Order).countBy({ state: "PaymentAuthorized" });
if (open !== number) throw new Error(`${open} of ${number} orders are PaymentAuthorized`);

const [started, cpu] = [performance.now(), process.cpuUsage()];
await connection.withTransaction(outside, async (ctx) => {
    for (const orderId of placed) {
        done(await orders.cancelOrder(ctx, { orderId, reason: "Dropped", cancelShipping: true }));
    }
});
const seconds = (performance.now() - started) / 1000;
const { user, system } = process.cpuUsage(cpu);
const cancelled = await connection.getRepository(outside, Order).countBy({ state: "Cancelled" });
if (cancelled !== number) throw new Error(`${cancelled} of ${number} orders are Cancelled`);
console.log(JSON.stringify({ orders: number, seconds, cpu_seconds: (user + system) / 1e6 }));
process.exit(0);
